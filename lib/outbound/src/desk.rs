//! Whose turn it is: all applications' schedulers behind one lock that is never held over an await.
//!
//! Who comes when nothing is in the way goes on at once, without another task having to run. Who has to wait does so
//! on a channel of his own, and keeps or gives up his place by holding or dropping it.

mod share;

use crate::metrics::{Metrics, OfApplication};
use boot::CancellationToken;
use discord::limit::{
    Address, Answer, Id, Need, Refusal, Request, Scheduler, Settings, Step, Verdict,
};
use std::{
    collections::{BTreeMap, HashMap},
    future, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    select,
    sync::{Notify, oneshot},
    time::{self, Instant},
};

/// Where requests line up; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Desk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Moments are told to the schedulers as what has passed since then.
    origin: Instant,
    state: Mutex<State>,
    /// Something is due sooner than the timer thinks.
    sooner: Notify,
    metrics: Metrics,
}

#[derive(Debug)]
struct State {
    address: Address,
    seats: HashMap<u64, Seat>,
    /// When the timer will look again.
    alarm: Option<Duration>,
    is_closed: bool,
}

/// One application's requests.
#[derive(Debug)]
struct Seat {
    scheduler: Scheduler,
    waiting: HashMap<Id, oneshot::Sender<Result<(), Left>>>,
    /// When its scheduler wants to be asked again.
    wake: Option<Duration>,
    /// There is something to tell the other replicas, and how soon that was said to be.
    news: Arc<Notify>,
    called: Need,
    metrics: OfApplication,
}

/// Why a request left the line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Left {
    /// Nobody of that name is served.
    Nobody,
    /// It is not to be sent.
    Refused(Refusal),
    /// The service ends.
    Stopping,
}

/// A request's place at the desk. When it is dropped it leaves the line, or counts as sent with its fate unknown.
#[derive(Debug)]
pub(crate) struct Place {
    desk: Desk,
    application_id: u64,
    id: Id,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// It waits.
    Line(oneshot::Receiver<Result<(), Left>>),
    /// It may be sent, or was.
    Turn,
    /// It has nothing to do with the desk any more.
    Gone,
}

impl Desk {
    /// A desk for an egress address that may have so many invalid requests in ten minutes.
    pub(crate) fn new(invalid_limit: u32, metrics: Metrics) -> Self {
        Self(Arc::new(Inner {
            origin: Instant::now(),
            state: Mutex::new(State {
                address: Address::new(invalid_limit),
                seats: HashMap::new(),
                alarm: None,
                is_closed: false,
            }),
            sooner: Notify::new(),
            metrics,
        }))
    }

    /// From now on this application is served.
    pub(crate) fn open(&self, application_id: u64, settings: Settings) {
        let seat = Seat {
            scheduler: Scheduler::new(settings),
            waiting: HashMap::new(),
            wake: None,
            news: Arc::default(),
            called: Need::None,
            metrics: self.0.metrics.of(application_id),
        };
        self.0.lock().seats.insert(application_id, seat);
    }

    /// Lines a request up, to be sent before this moment.
    pub(crate) fn enter(
        &self,
        application_id: u64,
        mut request: Request,
        deadline: Instant,
    ) -> Result<Place, Left> {
        let mut state = self.0.lock();
        if state.is_closed {
            return Err(Left::Stopping);
        }
        let now = self.0.now();
        request.deadline = deadline.saturating_duration_since(self.0.origin);
        let State { address, seats, .. } = &mut *state;
        let seat = seats.get_mut(&application_id).ok_or(Left::Nobody)?;
        let entered = seat.enter(now, request, address);
        self.0.wind(&mut state, application_id);
        let (id, stage) = entered?;
        Ok(Place {
            desk: self.clone(),
            application_id,
            id,
            stage,
        })
    }

    /// Wakes those whose time has come, until the shutdown; then nobody is sent any more.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        loop {
            let alarm = self.ring();
            let alarm = async {
                match alarm {
                    Some(alarm) => time::sleep_until(self.0.origin + alarm).await,
                    None => future::pending().await,
                }
            };
            select! {
                biased;
                () = shutdown.cancelled() => return self.close(),
                () = self.0.sooner.notified() => {}
                () = alarm => {}
            }
        }
    }

    /// Looks at all schedulers whose time has come; when to look again.
    fn ring(&self) -> Option<Duration> {
        let mut state = self.0.lock();
        let now = self.0.now();
        let State {
            address,
            seats,
            alarm,
            ..
        } = &mut *state;
        for seat in seats.values_mut() {
            if seat.wake.is_some_and(|wake| wake <= now) {
                seat.pump(now, address, None);
            }
        }
        *alarm = seats.values().filter_map(|seat| seat.wake).min();
        *alarm
    }

    /// Sends everybody away who was not sent, and everybody who comes from now on.
    fn close(&self) {
        let mut state = self.0.lock();
        state.is_closed = true;
        let now = self.0.now();
        for seat in state.seats.values_mut() {
            // In their order, in which they go back to the queue.
            let waiting: BTreeMap<Id, _> = mem::take(&mut seat.waiting).into_iter().collect();
            for (id, waiting) in waiting {
                seat.scheduler.cancel(now, id);
                // Who has gone in the meantime need not be told.
                waiting.send(Err(Left::Stopping)).ok();
            }
            seat.show();
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be asked under the lock, so that time does not go backwards.
    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Winds the timer, if the application is due sooner than it thinks.
    fn wind(&self, state: &mut State, application_id: u64) {
        let wake = state.seats.get(&application_id).and_then(|seat| seat.wake);
        let Some(wake) = wake else { return };
        if state.alarm.is_none_or(|alarm| wake < alarm) {
            state.alarm = Some(wake);
            self.sooner.notify_one();
        }
    }
}

impl Seat {
    /// Lines a request up, or sends it at once.
    fn enter(
        &mut self,
        now: Duration,
        request: Request,
        address: &mut Address,
    ) -> Result<(Id, Stage), Left> {
        let request = match self.scheduler.pass(now, request, address) {
            Ok(id) => {
                self.call_out(now);
                self.show();
                return Ok((id, Stage::Turn));
            }
            Err(request) => *request,
        };
        let id = self.scheduler.enqueue(now, request);
        let id = id.map_err(Left::Refused)?;
        match self.pump(now, address, Some(id)) {
            Some(Ok(())) => Ok((id, Stage::Turn)),
            Some(Err(left)) => Err(left),
            None => Ok((id, Stage::Line(self.wait(id)))),
        }
    }

    /// Does what the scheduler says until it says to wait; what became of one's own request, if it is not to wait.
    fn pump(
        &mut self,
        now: Duration,
        address: &mut Address,
        own: Option<Id>,
    ) -> Option<Result<(), Left>> {
        let mut of_own = None;
        loop {
            let (id, result) = match self.scheduler.next(now, address) {
                Step::Send(id) => (id, Ok(())),
                Step::Refuse(id, refusal) => (id, Err(Left::Refused(refusal))),
                Step::Wait(wake) => {
                    self.wake = wake;
                    self.call_out(now);
                    self.show();
                    return of_own;
                }
            };
            if own == Some(id) {
                of_own = Some(result);
            } else if let Some(waiting) = self.waiting.remove(&id) {
                // He leaves by `Place::leave`, under this lock: as long as he is here he hears it.
                waiting.send(result).ok();
            }
        }
    }

    /// From now on this request waits.
    fn wait(&mut self, id: Id) -> oneshot::Receiver<Result<(), Left>> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.insert(id, sender);
        receiver
    }

    fn show(&self) {
        self.metrics.line(
            self.scheduler.waiting(),
            self.scheduler.in_flight(),
            self.scheduler.buckets(),
        );
    }
}

impl Place {
    /// Waits for its turn. Cancel safe.
    pub(crate) async fn turn(&mut self) -> Result<(), Left> {
        let Stage::Line(line) = &mut self.stage else {
            return Ok(());
        };
        match line.await.unwrap_or(Err(Left::Stopping)) {
            Ok(()) => {
                self.stage = Stage::Turn;
                Ok(())
            }
            Err(left) => {
                self.stage = Stage::Gone;
                Err(left)
            }
        }
    }

    /// What was answered; nothing when its fate is not known. After `Again` it waits for another turn.
    pub(crate) fn answered(&mut self, answer: Option<&Answer>) -> Verdict {
        let inner = &self.desk.0;
        let mut state = inner.lock();
        let now = inner.now();
        let State {
            address,
            seats,
            is_closed,
            ..
        } = &mut *state;
        self.stage = Stage::Gone;
        let Some(seat) = seats.get_mut(&self.application_id) else {
            return Verdict::Done;
        };
        let verdict = seat.scheduler.complete(now, self.id, answer, address);
        if verdict == Verdict::Again {
            let line = seat.wait(self.id);
            self.stage = Stage::Line(line);
            if *is_closed {
                seat.scheduler.cancel(now, self.id);
                // The line ends, which says that the service does.
                seat.waiting.remove(&self.id);
            }
        }
        seat.pump(now, address, None);
        if answer.is_some_and(Answer::is_invalid) {
            inner.metrics.invalid(address.invalid(now));
        }
        inner.wind(&mut state, self.application_id);
        verdict
    }

    /// Gives the place up.
    fn leave(&mut self) {
        let inner = &self.desk.0;
        let mut state = inner.lock();
        let now = inner.now();
        let State { address, seats, .. } = &mut *state;
        let Some(seat) = seats.get_mut(&self.application_id) else {
            return;
        };
        if seat.scheduler.cancel(now, self.id) {
            seat.waiting.remove(&self.id);
        } else {
            seat.scheduler.complete(now, self.id, None, address);
        }
        seat.pump(now, address, None);
        inner.wind(&mut state, self.application_id);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !matches!(self.stage, Stage::Gone) {
            self.leave();
        }
    }
}

#[cfg(test)]
mod tests;
