//! Says in the log who is refused: not each time, as a stranger could fill it.

use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::Refusal;

/// How often there is a line at the most.
const EVERY: Duration = Duration::from_secs(10);

/// Who was refused; all connections share it.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Last>);

/// The last line.
#[derive(Debug, Default)]
struct Last {
    said: Option<Instant>,
    /// How many were refused since then.
    since: u64,
}

impl Refusals {
    /// A request of this caller's was refused.
    pub fn add(&self, caller: IpAddr, refusal: Refusal) {
        let reason = refusal.word();
        match self.turn(Instant::now()) {
            Some(others) => tracing::info!(
                %caller,
                reason,
                others,
                "a request that is not Discord's was refused, and so were others since the last such line"
            ),
            None => tracing::debug!(%caller, reason, "a request that is not Discord's was refused"),
        }
    }

    /// How many others there were since the last line, if it is time for the next.
    fn turn(&self, now: Instant) -> Option<u64> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.said.is_some_and(|said| now - said < EVERY) {
            last.since += 1;
            return None;
        }
        let others = last.since;
        *last = Last {
            said: Some(now),
            since: 0,
        };
        Some(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_line_every_ten_seconds_and_it_says_how_many_there_were() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        let turn = |seconds| refusals.turn(start + Duration::from_secs(seconds));
        assert_eq!(turn(0), Some(0));
        for _ in 0..1000 {
            assert_eq!(turn(9), None);
        }
        assert_eq!(turn(10), Some(1000));
        assert_eq!(turn(11), None);
        assert_eq!(turn(60), Some(1));
    }
}
