//! Events that travel together: what an operator sets, and what becomes of it.

mod collect;

use std::time::Duration;

use boot::{Parse, config::Invalid};

pub(crate) use self::collect::Batches;

/// How many events a batch may have, and how long the first of them may wait.
const COUNTS: std::ops::RangeInclusive<u16> = 2..=1_000;
const LINGERS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(1);

/// How events that have one routing key travel together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// How many events there are in a message at most.
    pub count: u16,
    /// How long the first of them may wait for the others.
    pub linger: Duration,
}

/// That events of this name are batched, as in `PRESENCE_UPDATE=64/5ms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventBatch {
    /// The event's name, as Discord writes it.
    pub name: String,
    /// How its events travel.
    pub batch: Batch,
}

impl Parse for EventBatch {
    fn expected() -> String {
        "an event with a number (2 to 1000) and a time (1ms to 1s), for example \
         PRESENCE_UPDATE=64/5ms"
            .to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let (name, rest) = text.split_once('=').ok_or_else(Invalid::new)?;
        let (count, linger) = rest.split_once('/').ok_or_else(Invalid::new)?;
        let name = name.trim().to_ascii_uppercase();
        let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || !name.bytes().all(fits) {
            return Err(Invalid::because(format!("{name:?} is no event's name")));
        }
        let (count, linger) = (count.trim(), linger.trim());
        let batch = Batch {
            count: count
                .parse()
                .ok()
                .filter(|count| COUNTS.contains(count))
                .ok_or_else(|| {
                    Invalid::because(format!("{count:?} is no number from 2 to 1000"))
                })?,
            linger: Duration::parse(linger)
                .ok()
                .filter(|linger| LINGERS.contains(linger))
                .ok_or_else(|| Invalid::because(format!("{linger:?} is no time from 1ms to 1s")))?,
        };
        Ok(Self { name, batch })
    }
}

#[cfg(test)]
mod tests;
