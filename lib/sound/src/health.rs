//! What songbird does not say about a track: why it ended, and how long it had to wait.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    Error,
    pace::{Pace, Taken},
    stream::FRAME,
};

/// How a source fares while it is played. songbird takes a source that breaks off for one that is at its
/// end, and ends a track whose seek fails: so sources end or stay where they are, and tell why here.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    failure: Option<Error>,
    refused_seek: Option<Error>,
    waited: Duration,
    pace: Pace,
}

impl Health {
    /// Why the source ended before its end, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<Error> {
        self.state().failure.clone()
    }

    /// Why the last seek led nowhere, if it did; the track plays on where it was. It is told once.
    #[must_use]
    pub fn refused_seek(&self) -> Option<Error> {
        self.state().refused_seek.take()
    }

    /// How much silence was put in since the source began, because its sound did not come in time. The
    /// positions that songbird counts contain it until the next seek.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.state().waited
    }

    /// What was taken of the source to be sent since this was last asked.
    #[must_use]
    pub fn taken(&self) -> Taken {
        self.state().pace.taken()
    }

    /// The track was held, and what follows is not late.
    pub fn rest(&self) {
        self.state().pace.rest();
    }

    /// Sound of this length is taken.
    pub(crate) fn take(&self, length: Duration) {
        self.state().pace.take(Instant::now(), length);
    }

    /// The first failure is the one that counts.
    pub(crate) fn fail(&self, error: Error) {
        self.state().failure.get_or_insert(error);
    }

    pub(crate) fn refuse_seek(&self, error: Error) {
        self.state().refused_seek = Some(error);
    }

    /// Silence of a frame is taken in place of what has not come.
    pub(crate) fn wait(&self) {
        let mut state = self.state();
        state.waited += FRAME;
        state.pace.miss(Instant::now());
    }

    /// Positions are right again.
    pub(crate) fn moved(&self) {
        let mut state = self.state();
        state.refused_seek = None;
        state.waited = Duration::ZERO;
        state.pace.rest();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
