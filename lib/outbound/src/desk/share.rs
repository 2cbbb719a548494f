//! What the desk and the other replicas have to tell each other.

use super::{Desk, Seat, State};
use discord::limit::{Address, Need, Reply, Report, Scheduler};
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;

impl Desk {
    /// What is rung when an application has something to tell.
    pub(crate) fn news(&self, application_id: u64) -> Option<Arc<Notify>> {
        let state = self.0.lock();
        let seat = state.seats.get(&application_id)?;
        Some(Arc::clone(&seat.news))
    }

    /// From now on a store counts for all replicas, or each keeps to its part.
    pub(crate) fn share(&self, application_id: u64, together: bool) {
        self.with(application_id, |scheduler, now| match together {
            true => scheduler.join(now),
            false => scheduler.part(now),
        });
    }

    /// How soon a report is due.
    pub(crate) fn need(&self, application_id: u64) -> Need {
        let mut state = self.0.lock();
        let now = self.0.now();
        let Some(seat) = state.seats.get_mut(&application_id) else {
            return Need::None;
        };
        // Only what cannot wait so long rings from now on.
        seat.called = seat.scheduler.need(now);
        seat.called
    }

    /// The next report, in at most so many lines.
    pub(crate) fn report(&self, application_id: u64, most: usize) -> Report {
        let mut state = self.0.lock();
        let now = self.0.now();
        let Some(seat) = state.seats.get_mut(&application_id) else {
            return Report::default();
        };
        seat.called = Need::None;
        seat.scheduler.report(now, most)
    }

    /// The store has answered it.
    pub(crate) fn heard(&self, application_id: u64, report: &Report, reply: &Reply) {
        self.with(application_id, |scheduler, now| {
            scheduler.heard(now, report, reply);
        });
    }

    /// How many replicas there are, as far as is known.
    pub(crate) fn replicas(&self, application_id: u64) -> u32 {
        let state = self.0.lock();
        let seat = state.seats.get(&application_id);
        seat.map_or(1, |seat| seat.scheduler.replicas())
    }

    /// Requests that Discord has not answered.
    pub(crate) fn in_flight(&self, application_id: u64) -> usize {
        let state = self.0.lock();
        let seat = state.seats.get(&application_id);
        seat.map_or(0, |seat| seat.scheduler.in_flight())
    }

    /// Reads or changes what is known of the egress address, which everybody then heeds.
    pub(crate) fn address<T>(&self, change: impl FnOnce(&mut Address, Duration) -> T) -> T {
        let mut state = self.0.lock();
        let now = self.0.now();
        let State { address, seats, .. } = &mut *state;
        let changed = change(address, now);
        let ids: Vec<u64> = seats.keys().copied().collect();
        for seat in seats.values_mut() {
            seat.pump(now, address, None);
        }
        for id in ids {
            self.0.wind(&mut state, id);
        }
        changed
    }

    fn with<T>(
        &self,
        application_id: u64,
        change: impl FnOnce(&mut Scheduler, Duration) -> T,
    ) -> Option<T> {
        let mut state = self.0.lock();
        let now = self.0.now();
        let State { address, seats, .. } = &mut *state;
        let seat = seats.get_mut(&application_id)?;
        let changed = change(&mut seat.scheduler, now);
        seat.pump(now, address, None);
        self.0.wind(&mut state, application_id);
        Some(changed)
    }
}

impl Seat {
    /// Rings, if there is more to tell than it was rung for.
    pub(super) fn call_out(&mut self, now: Duration) {
        let need = self.scheduler.need(now);
        if need > self.called {
            self.called = need;
            self.news.notify_one();
        }
    }
}
