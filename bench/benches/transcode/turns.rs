//! Contenders that take turns over the same work: the best turn of each counts, so that the ratios
//! mean something on a busy machine.

use std::time::Duration;

use tokio::time::Instant;

/// One way to do something to each of some things of the type `T`. It returns how many bytes come of
/// one, or 1 for a success.
pub(crate) struct Contender<'a, T> {
    pub(crate) name: &'static str,
    work: Box<dyn FnMut(&T) -> usize + 'a>,
    /// Its best turn.
    best: Duration,
    /// What came of the last turn.
    pub(crate) out: usize,
}

impl<'a, T> Contender<'a, T> {
    pub(crate) fn new(name: &'static str, work: impl FnMut(&T) -> usize + 'a) -> Self {
        Self {
            name,
            work: Box::new(work),
            best: Duration::MAX,
            out: 0,
        }
    }
}

/// What the contenders took for some things.
pub(crate) struct Row<'a, T> {
    pub(crate) name: &'static str,
    pub(crate) count: usize,
    pub(crate) contenders: Vec<Contender<'a, T>>,
}

impl<'a, T> Row<'a, T> {
    /// All contenders over the same things.
    pub(crate) fn measure(
        name: &'static str,
        things: &[T],
        turns: usize,
        mut contenders: Vec<Contender<'a, T>>,
    ) -> Self {
        for _ in 0..turns {
            for contender in &mut contenders {
                contender.out = 0;
                let start = Instant::now();
                for thing in things {
                    contender.out += (contender.work)(std::hint::black_box(thing));
                }
                contender.best = contender.best.min(start.elapsed());
            }
        }
        Self {
            name,
            count: things.len(),
            contenders,
        }
    }

    pub(crate) fn of(&self, name: &str) -> &Contender<'a, T> {
        let found = self
            .contenders
            .iter()
            .find(|contender| contender.name == name);
        found.expect("every row has all contenders")
    }

    /// How long one thing takes.
    pub(crate) fn nanoseconds(&self, name: &str) -> f64 {
        self.of(name).best.as_nanos() as f64 / self.count as f64
    }

    /// The contenders' times, and how many times those of `one` they are.
    pub(crate) fn cells(&self, one: &str) -> String {
        let cells = self.contenders.iter().map(|contender| {
            let taken = self.nanoseconds(contender.name);
            let cell = format!("{taken:.0} ns ({:.2})", taken / self.nanoseconds(one));
            format!("{cell:>22}")
        });
        cells.collect()
    }

    pub(crate) fn heads(&self) -> String {
        let heads = self
            .contenders
            .iter()
            .map(|contender| format!("{:>22}", contender.name));
        heads.collect()
    }
}
