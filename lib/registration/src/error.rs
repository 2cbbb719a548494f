//! Why an address is not taken, or not right.

use broker::CallError;

/// What a person has to change.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Requests cannot be sent from here.
    #[error("addresses cannot be looked at: {0}")]
    Client(#[from] reqwest::Error),
    /// It is no address.
    #[error("{0:?} is no URL such as https://example.com/interactions")]
    NoUrl(String),
    /// Nobody can ask Discord.
    #[error(
        "nobody can ask Discord: no gateway-api serves application {0}. It has the token that this needs: start it, \
         with the same AMQP_URL and AMQP_PREFIX"
    )]
    Nobody(u64),
    /// Discord does not take an address.
    #[error(
        "Discord does not take {url} as the {name} of application {id}: {words}\nIt has just sent requests there, with right \
         signatures and with wrong ones. What shows from here:\n{seen}"
    )]
    Refused {
        /// The application.
        id: u64,
        /// The address.
        url: String,
        /// What it was to be.
        name: &'static str,
        /// What Discord says.
        words: String,
        /// What shows from here.
        seen: String,
    },
    /// Several applications cannot have one address.
    #[error(
        "there are several applications, and each has an address of its own: write {{id}} where its id stands, as in \
         https://example.com/interactions/{{id}}"
    )]
    Shared,
    /// Discord was not reached.
    #[error("application {id} could not be asked for: {why}")]
    Unasked {
        /// The application.
        id: u64,
        /// Why.
        why: CallError,
    },
    /// Something is wrong with an address.
    #[error("application {id}, {url}:\n{seen}")]
    Wrong {
        /// The application.
        id: u64,
        /// The address.
        url: String,
        /// What shows.
        seen: String,
    },
}

impl Error {
    /// Why nothing was heard of Discord.
    pub(crate) fn of(id: u64, why: CallError) -> Self {
        match why {
            CallError::Nobody(_) => Self::Nobody(id),
            why => Self::Unasked { id, why },
        }
    }
}
