//! What a close code of the gateway means for the connection that follows.
//!
//! See [Discord Docs/Gateway Close Event Codes](https://docs.discord.com/developers/topics/opcodes-and-status-codes#gateway-gateway-close-event-codes).

/// Why Discord refuses every further connection with the same settings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// 4004: the token is wrong.
    AuthenticationFailed,
    /// 4010: the shard, or the shard count, is not valid.
    InvalidShard,
    /// 4011: one connection would carry too many guilds.
    ShardingRequired,
    /// 4012: the version of the gateway does not exist any more.
    InvalidApiVersion,
    /// 4013: the intents hold a bit that does not exist.
    InvalidIntents,
    /// 4014: the intents hold a privileged one that the application may not use.
    DisallowedIntents,
}

/// What to do after a connection was closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// The session is gone: Identify again.
    Identify,
    /// The session lives on: Resume it.
    Resume,
    /// Trying again cannot help: a person has to change something.
    Stop(Refusal),
}

/// Decides what follows a close with this code; `None` is a connection that broke without one.
pub const fn after(code: Option<u16>) -> Next {
    match code {
        Some(4003 | 4007 | 4009) => Next::Identify,
        Some(4004) => Next::Stop(Refusal::AuthenticationFailed),
        Some(4010) => Next::Stop(Refusal::InvalidShard),
        Some(4011) => Next::Stop(Refusal::ShardingRequired),
        Some(4012) => Next::Stop(Refusal::InvalidApiVersion),
        Some(4013) => Next::Stop(Refusal::InvalidIntents),
        Some(4014) => Next::Stop(Refusal::DisallowedIntents),
        _ => Next::Resume,
    }
}

#[cfg(test)]
mod tests {
    use super::{Next, Refusal, after};

    #[test]
    fn every_documented_code_has_its_consequence() {
        let table = [
            (None, Next::Resume),
            (Some(1000), Next::Resume),
            (Some(1001), Next::Resume),
            (Some(4000), Next::Resume),
            (Some(4001), Next::Resume),
            (Some(4002), Next::Resume),
            (Some(4003), Next::Identify),
            (Some(4004), Next::Stop(Refusal::AuthenticationFailed)),
            (Some(4005), Next::Resume),
            (Some(4007), Next::Identify),
            (Some(4008), Next::Resume),
            (Some(4009), Next::Identify),
            (Some(4010), Next::Stop(Refusal::InvalidShard)),
            (Some(4011), Next::Stop(Refusal::ShardingRequired)),
            (Some(4012), Next::Stop(Refusal::InvalidApiVersion)),
            (Some(4013), Next::Stop(Refusal::InvalidIntents)),
            (Some(4014), Next::Stop(Refusal::DisallowedIntents)),
            (Some(4999), Next::Resume),
        ];
        for (code, next) in table {
            assert_eq!(after(code), next, "close code {code:?}");
        }
    }
}
