//! What ends the service, or keeps it waiting.

/// A failure of `gateway-ws`. Those that reach the operator say what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The broker is closed; only a shutdown does that.
    #[error("the broker was closed while events were still coming")]
    BrokerClosed,
    /// A request to Discord's HTTP API failed for good.
    #[error(transparent)]
    Discord(#[from] discord::Error),
    /// The intents hold a privileged one that the application may not use.
    #[error(
        "Discord refused the intents (close code 4014): the application may not use {names}; \
         enable them in the developer portal, page \"Bot\", section \"Privileged Gateway Intents\" \
         (https://discord.com/developers/applications/{application_id}/bot), or take them out of \
         DISCORD_INTENTS, and start again"
    )]
    DisallowedIntents {
        /// The names of the intents.
        names: String,
        /// Whose portal page to open.
        application_id: u64,
    },
    /// `GET /gateway/bot` named something that no websocket can be opened to.
    #[error(
        "Discord's answer to GET /gateway/bot names {0:?}, which is no websocket URL: check \
         DISCORD_API_URL"
    )]
    GatewayUrl(String),
    /// The intents hold a bit that Discord does not know.
    #[error(
        "Discord refused the intents (close code 4013): DISCORD_INTENTS is {intents}, which holds \
         a bit that Discord does not define; use the names of the intents"
    )]
    InvalidIntents {
        /// The number that was sent.
        intents: u64,
    },
    /// The shard or the shard count is not valid.
    #[error(
        "Discord refused shard {id} of {count} (close code 4010): set DISCORD_SHARD_COUNT to \
         \"auto\", or to a multiple of the count that Discord gave this application"
    )]
    InvalidShard {
        /// The shard's id.
        id: u32,
        /// The shard count.
        count: u32,
    },
    /// The shards given are not part of the shard count.
    #[error(
        "DISCORD_SHARD_IDS names shard {id}, but there are {count} shards, numbered from 0: take \
         it out, or raise DISCORD_SHARD_COUNT"
    )]
    NoSuchShard {
        /// The shard's id.
        id: u32,
        /// The shard count.
        count: u32,
    },
    /// The connection to Discord cannot be secured.
    #[error("no certificates to check Discord's against: install this system's CA certificates")]
    Certificates(#[source] tokio_websockets::Error),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Two of the tokens belong to one application.
    #[error(
        "two of the tokens belong to application {id}: each application may be named once in \
         [[applications]]"
    )]
    SameApplication {
        /// The application.
        id: u64,
    },
    /// One connection would carry too many guilds.
    #[error(
        "Discord refused {count} shards (close code 4011): one shard would have more than 2,500 \
         guilds; set DISCORD_SHARD_COUNT to \"auto\", or to a higher number"
    )]
    ShardingRequired {
        /// The shard count.
        count: u32,
    },
    /// Discord does not accept the token.
    #[error(
        "Discord refused the bot token (close code 4004): it was reset, or is wrong; set \
         DISCORD_TOKEN, or what DISCORD_TOKEN_FILE names, to the token of the developer portal's \
         page \"Bot\", without \"Bot \" in front, and start again"
    )]
    Token,
    /// The version of the gateway that we speak is gone.
    #[error(
        "Discord no longer speaks version 10 of its gateway (close code 4012): install a newer \
         version of this program"
    )]
    Version,
}
