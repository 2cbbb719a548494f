//! Why a connection to Discord is over, in the words of the contract: pure, without I/O or clock.

use crate::status::status;
use discord::close::Next;
use std::time::Duration;
use wire::gateway::v1::{ShardReason, ShardState, ShardStatus};

/// A connection that is over, though nobody of ours wanted that.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Loss {
    /// What may follow.
    pub(crate) next: Next,
    /// The kind of it.
    pub(crate) reason: ShardReason,
    /// The code that Discord closed it with, if it did.
    pub(crate) code: Option<u16>,
    /// What happened, for a person.
    pub(crate) detail: String,
}

impl Loss {
    /// It was closed, or broke when there is no code.
    pub(crate) fn closed(next: Next, code: Option<u16>, detail: String) -> Self {
        let reason = match (next, code) {
            (Next::Identify, _) => ShardReason::SessionLost,
            (Next::Stop(_), _) => ShardReason::Refused,
            (Next::Resume, Some(_)) => ShardReason::Closed,
            (Next::Resume, None) => ShardReason::ConnectionLost,
        };
        Self {
            code,
            ..Self::new(next, reason, detail)
        }
    }

    /// There could be none at all.
    pub(crate) fn unreachable(cause: &str) -> Self {
        let detail = format!("cannot connect: {cause}");
        Self::new(Next::Resume, ShardReason::Outage, detail)
    }

    /// Discord asked to connect again.
    pub(crate) fn reconnect(next: Next) -> Self {
        let detail = "Discord asked to reconnect (op 7)";
        Self::new(next, ShardReason::Reconnect, detail)
    }

    /// Discord did not take the session.
    pub(crate) fn invalid_session(next: Next) -> Self {
        let reason = match next {
            Next::Identify => ShardReason::SessionLost,
            Next::Resume | Next::Stop(_) => ShardReason::Unspecified,
        };
        Self::new(next, reason, "Discord refused the session (op 9)")
    }

    /// None may identify now.
    pub(crate) fn exhausted(why: String) -> Self {
        Self::new(Next::Identify, ShardReason::Identify, why)
    }

    /// What came made no sense, so it begins anew.
    pub(crate) fn nonsense(detail: String) -> Self {
        Self::new(Next::Identify, ShardReason::SessionLost, detail)
    }

    /// Whether Discord is not there, rather than that it does not want us.
    pub(crate) const fn is_no_answer(&self) -> bool {
        matches!(
            self.reason,
            ShardReason::Outage | ShardReason::ConnectionLost
        )
    }

    fn new(next: Next, reason: ShardReason, detail: impl Into<String>) -> Self {
        Self {
            next,
            reason,
            code: None,
            detail: detail.into(),
        }
    }

    /// What to say of the shard until the next connection begins, after so long a wait.
    pub(crate) fn status(
        &self,
        wait: Duration,
        resumes: bool,
        sequence: Option<u64>,
    ) -> ShardStatus {
        let how = if resumes { "resumes" } else { "identifies" };
        let when = match wait {
            Duration::ZERO => "now".to_owned(),
            wait => format!("in {:.1} s", wait.as_secs_f64()),
        };
        ShardStatus {
            close_code: self.code.map(u32::from),
            sequence,
            ..status(
                ShardState::Away,
                self.reason,
                format!("{}: {how} {when}", self.detail),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Loss;
    use discord::close::{Next, after};
    use std::time::Duration;
    use wire::gateway::v1::ShardReason;

    #[test]
    fn a_close_has_the_reason_of_its_code() {
        let table = [
            (None, ShardReason::ConnectionLost),
            (Some(1000), ShardReason::Closed),
            (Some(4000), ShardReason::Closed),
            (Some(4004), ShardReason::Refused),
            (Some(4007), ShardReason::SessionLost),
            (Some(4009), ShardReason::SessionLost),
            (Some(4014), ShardReason::Refused),
        ];
        for (code, reason) in table {
            let loss = Loss::closed(after(code), code, String::new());
            assert_eq!((loss.reason, loss.code), (reason, code));
        }
    }

    #[test]
    fn a_person_reads_what_happened_and_what_follows() {
        let loss = Loss::closed(Next::Resume, Some(4000), "closed with code 4000".to_owned());
        let status = loss.status(Duration::from_millis(1_500), true, Some(7));
        assert_eq!(status.detail, "closed with code 4000: resumes in 1.5 s");
        assert_eq!((status.close_code, status.sequence), (Some(4000), Some(7)));
        let status = Loss::reconnect(Next::Identify).status(Duration::ZERO, false, None);
        assert_eq!(
            status.detail,
            "Discord asked to reconnect (op 7): identifies now"
        );
    }
}
