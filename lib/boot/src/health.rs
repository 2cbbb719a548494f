//! Whether the service can do its work, check by check.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The name of a check.
type Name = Cow<'static, str>;

/// The named checks of a service, shown by `/readyz`.
///
/// A service is ready when it has at least one check and every check is up.
#[derive(Clone, Debug, Default)]
pub struct Health {
    checks: Arc<Mutex<BTreeMap<Name, State>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Down(String),
    /// It stays down until somebody changes something.
    Refused(String),
    /// It works all the same.
    Noted(String),
    Up,
}

/// One thing that must work before the service is ready. It is down until it is said to be up.
#[derive(Clone, Debug)]
pub struct Check {
    name: Name,
    health: Health,
}

/// What `/readyz` answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) ready: bool,
    /// Each check with `up` or the reason why it is down.
    pub(crate) checks: BTreeMap<Name, String>,
}

impl Health {
    /// Adds a check. Two with one name are the same check.
    #[must_use = "a check that nobody sets to up keeps the service from being ready"]
    pub fn check(&self, name: impl Into<Name>) -> Check {
        let name = name.into();
        let starting = || State::Down("starting".to_owned());
        self.lock().entry(name.clone()).or_insert_with(starting);
        Check {
            name,
            health: self.clone(),
        }
    }

    /// Whether every check is up.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.report().ready
    }

    pub(crate) fn report(&self) -> Report {
        let checks = self.lock();
        let up = checks
            .values()
            .all(|state| !matches!(state, State::Down(_) | State::Refused(_)));
        let shown = checks.iter().map(|(name, state)| match state {
            State::Down(reason) | State::Refused(reason) | State::Noted(reason) => {
                (name.clone(), reason.clone())
            }
            State::Up => (name.clone(), "up".to_owned()),
        });
        Report {
            ready: up && !checks.is_empty(),
            checks: shown.collect(),
        }
    }

    fn set(&self, name: &Name, state: State) {
        let mut checks = self.lock();
        if checks.get(name) == Some(&state) {
            return;
        }
        let was_down = matches!(checks.get(name), Some(State::Down(_) | State::Refused(_)));
        match &state {
            // Only the reason changes, which `/readyz` shows: a service says itself what is new.
            State::Down(reason) if was_down => {
                tracing::debug!(
                    check = name.as_ref(),
                    reason,
                    "a health check is still down"
                );
            }
            State::Down(reason) | State::Refused(reason) => {
                tracing::warn!(check = name.as_ref(), reason, "a health check is down")
            }
            State::Noted(reason) => {
                tracing::warn!(
                    check = name.as_ref(),
                    reason,
                    "a health check is up, with a remark"
                )
            }
            State::Up => tracing::info!(check = name.as_ref(), "a health check is up"),
        }
        checks.insert(name.clone(), state);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Name, State>> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Check {
    /// It works.
    pub fn up(&self) {
        self.health.set(&self.name, State::Up);
    }

    /// It works, and the operator should know something: a short sentence, without secrets.
    pub fn note(&self, remark: impl Into<String>) {
        self.health.set(&self.name, State::Noted(remark.into()));
    }

    /// It does not work, and why: a short sentence for the operator, without secrets.
    pub fn down(&self, reason: impl Into<String>) {
        self.health.set(&self.name, State::Down(reason.into()));
    }

    /// The same, until somebody changes something: it is logged although it was down before, such as at the start.
    pub fn refused(&self, reason: impl Into<String>) {
        self.health.set(&self.name, State::Refused(reason.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::Health;

    #[test]
    fn ready_when_all_checks_are_up() {
        let health = Health::default();
        assert!(!health.is_ready(), "nothing has started yet");
        let broker = health.check("broker");
        let shards = health.check("shards");
        broker.up();
        assert!(!health.is_ready());
        assert_eq!(health.report().checks["shards"], "starting");
        shards.up();
        assert!(health.is_ready());
        broker.refused("connection refused");
        let report = health.report();
        assert!(!report.ready);
        assert_eq!(report.checks["broker"], "connection refused");
        assert_eq!(report.checks["shards"], "up");
    }

    #[test]
    fn a_remark_is_shown_and_stops_nobody() {
        let health = Health::default();
        let limits = health.check("limits");
        limits.note("the store is away: each replica keeps to its part");
        let report = health.report();
        assert!(report.ready);
        assert!(report.checks["limits"].contains("its part"));
        limits.down("worse");
        assert!(!health.is_ready());
    }

    #[test]
    fn one_name_is_one_check() {
        let health = Health::default();
        let first = health.check("broker");
        first.up();
        let second = health.check("broker");
        assert!(health.is_ready());
        second.down("gone");
        assert!(!health.is_ready());
    }
}
