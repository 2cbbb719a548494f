//! What came of a scenario: a row of the table, and the promises that it breaks.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

use sim::Kind;

use crate::tally::Account;

const MIB: u64 = 1024 * 1024;

/// A scenario's numbers.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub scenario: &'static str,
    /// How long events were emitted.
    pub seconds: f64,
    /// What came of the events.
    pub account: Account,
    /// Identifies beyond those that had to be.
    pub identifies: u64,
    /// Rules of Discord's that were broken, with how often.
    pub violations: Vec<(Kind, u64)>,
    /// The longest time that a session was without a connection.
    pub gap: Duration,
    /// The most memory that a replica took, in bytes.
    pub memory: u64,
    /// How late half of the events came at most.
    pub half: Option<Duration>,
    /// How late all but a hundredth came at most.
    pub nearly_all: Option<Duration>,
    /// The promises that do not hold.
    pub broken: Vec<String>,
}

/// Whose events come in order, once those that come twice are left out.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// A guild's, as with batches.
    Guild,
    /// A shard's.
    Shard,
    /// Nobody's: a message that RabbitMQ refuses is published again behind those that followed it.
    Refused,
}

/// What a scenario promises beyond what all do: nothing lost, order, no needless identify, no rule broken.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    /// How many events may come twice.
    pub duplicates: Option<u64>,
    /// How long a session may be without a connection.
    pub gap: Option<Duration>,
    /// How much memory a replica may take.
    pub memory: u64,
    /// Whose events come in order.
    pub order: Order,
    /// Whether there have to be batches.
    pub batches: bool,
    /// Rules that cannot be kept here.
    pub tolerated: &'static [Kind],
}

impl Default for Promise {
    fn default() -> Self {
        Self {
            duplicates: None,
            gap: None,
            memory: 256 * MIB,
            order: Order::Shard,
            batches: false,
            tolerated: &[],
        }
    }
}

impl Row {
    /// Takes note of what is broken; promises about speed count when `strict`.
    pub fn judge(mut self, promise: &Promise, strict: bool) -> Self {
        self.violations
            .retain(|(kind, _)| !promise.tolerated.contains(kind));
        let account = &self.account;
        let mut broken = Vec::new();
        let mut expect = |holds: bool, what: String| {
            if !holds {
                broken.push(what);
            }
        };
        let (lost, missing) = (account.lost(), &account.missing);
        expect(
            lost == 0,
            format!("{lost} events lost, such as {missing:?}"),
        );
        let disorder = match promise.order {
            Order::Guild => account.out_of_order_in_guild,
            Order::Shard => account.out_of_order,
            Order::Refused => 0,
        };
        expect(disorder == 0, format!("{disorder} events out of order"));
        let twins = account.twins;
        expect(twins == 0, format!("{twins} events under two ids"));
        let complaints = &account.complaints;
        expect(complaints.is_empty(), format!("{complaints:?}"));
        let doubles = account.duplicates;
        expect(
            promise.duplicates.is_none_or(|most| doubles <= most),
            format!("{doubles} events came twice"),
        );
        expect(
            !promise.batches || account.batches > 0,
            "there was no batch".to_owned(),
        );
        let identifies = self.identifies;
        expect(identifies == 0, format!("{identifies} needless identifies"));
        let violations = &self.violations;
        expect(violations.is_empty(), format!("{violations:?}"));
        let gap = self.gap;
        expect(
            !strict || promise.gap.is_none_or(|most| gap <= most),
            format!("a session was without a connection for {gap:?}"),
        );
        let memory = self.memory;
        expect(
            memory <= promise.memory,
            format!("a replica took {} MiB", memory / MIB),
        );
        self.broken.extend(broken);
        self
    }

    /// The names of the columns.
    pub fn head() -> String {
        format!(
            "{:<38} {:>5} {:>9} {:>9} {:>5} {:>6} {:>5} {:>5} {:>5} {:>7} {:>5} {:>8} {:>8}",
            "scenario",
            "s",
            "emitted",
            "received",
            "lost",
            "twice",
            "ident",
            "order",
            "viol",
            "gap ms",
            "MiB",
            "p50 ms",
            "p99 ms"
        )
    }
}

impl Display for Row {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let account = &self.account;
        let violations: u64 = self.violations.iter().map(|(_, count)| count).sum();
        let late = |quantile: Option<Duration>| {
            quantile.map_or("-".to_owned(), |it| {
                format!("{:.2}", it.as_secs_f64() * 1000.0)
            })
        };
        write!(
            f,
            "{:<38} {:>5.0} {:>9} {:>9} {:>5} {:>6} {:>5} {:>5} {:>5} {:>7} {:>5} {:>8} {:>8}",
            self.scenario,
            self.seconds,
            account.emitted,
            account.received,
            account.lost(),
            account.duplicates,
            self.identifies,
            account.out_of_order,
            violations,
            self.gap.as_millis(),
            self.memory / MIB,
            late(self.half),
            late(self.nearly_all),
        )?;
        for broken in &self.broken {
            write!(f, "\n    BROKEN: {broken}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sim::Kind;

    use super::{Promise, Row};
    use crate::tally::Account;

    fn row() -> Row {
        Row {
            scenario: "test",
            seconds: 1.0,
            account: Account {
                emitted: 10,
                received: 10,
                ..Account::default()
            },
            identifies: 0,
            violations: Vec::new(),
            gap: Duration::ZERO,
            memory: 0,
            half: None,
            nearly_all: None,
            broken: Vec::new(),
        }
    }

    fn broken(change: impl FnOnce(&mut Row)) -> usize {
        let mut row = row();
        change(&mut row);
        let promise = Promise {
            duplicates: Some(1),
            gap: Some(Duration::from_secs(1)),
            tolerated: &[Kind::ResumeTwice],
            ..Promise::default()
        };
        row.judge(&promise, true).broken.len()
    }

    #[test]
    fn each_promise_is_judged() {
        assert_eq!(broken(|_| {}), 0);
        assert_eq!(broken(|row| row.account.received = 9), 1);
        assert_eq!(broken(|row| row.account.out_of_order = 1), 1);
        assert_eq!(broken(|row| row.account.twins = 1), 1);
        assert_eq!(broken(|row| row.account.complaints = vec!["x".into()]), 1);
        assert_eq!(broken(|row| row.account.duplicates = 1), 0);
        assert_eq!(broken(|row| row.account.duplicates = 2), 1);
        assert_eq!(broken(|row| row.identifies = 1), 1);
        assert_eq!(broken(|row| row.violations = vec![(Kind::Shard, 1)]), 1);
        let tolerated = vec![(Kind::ResumeTwice, 1)];
        assert_eq!(broken(|row| row.violations = tolerated), 0);
        assert_eq!(broken(|row| row.gap = Duration::from_secs(2)), 1);
        assert_eq!(broken(|row| row.memory = 1 << 40), 1);
    }

    #[test]
    fn a_row_shows_what_is_broken_and_fits_the_head() {
        let mut row = row();
        row.account.received = 9;
        let text = row.judge(&Promise::default(), false).to_string();
        let first = text.lines().next().unwrap();
        assert_eq!(first.len(), Row::head().len());
        assert!(text.contains("BROKEN: 1 events lost"), "{text}");
    }
}
