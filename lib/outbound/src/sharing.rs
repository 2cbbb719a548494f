//! Keeps Discord's limits together with the other replicas, by way of the store.
//!
//! One report of an application is on its way at a time, so all that comes up meanwhile travels in the next one. What waits for a
//! permit makes it leave at once, everything else some milliseconds later. While the store is away nobody waits for it.

use crate::{
    Config, Gateway,
    desk::Desk,
    metrics::{Metrics, OfApplication},
};
use boot::{Backoff, CancellationToken, Check, Context, ExposeSecret as _, SecretString, chain};
use discord::limit::{Level, Member, Need, Reply, Report};
use std::time::Duration;
use store::{Application, Store};
use tokio::{
    select,
    time::{self, Instant},
};

/// The longest time between two reports: so long a permit that is not needed is kept, and a refused token is used.
const BEAT: Duration = Duration::from_secs(1);
/// The shortest time between two reports that nothing waits for.
const PACE: Duration = Duration::from_millis(5);
/// How long a report may take. Then the store is away.
const PATIENCE: Duration = Duration::from_millis(500);
/// The waits between two attempts while the store is away.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// Windows in one report.
const LINES: usize = 100;
/// What may be between the end of a request and the store's hearing of it.
const MARGIN: Duration = Duration::from_secs(5);

impl Gateway {
    /// Counts invalid requests, with all replicas if there is a store.
    pub(crate) fn guard(&self, config: &Config, store: &Store, context: &Context) {
        let shared = || (store.clone(), config.egress.clone());
        let guard = Guard {
            desk: self.desk().clone(),
            store: store.is_shared().then(shared),
            metrics: self.metrics().clone(),
            check: context.health.check("invalid requests"),
        };
        let shutdown = context.shutdown.clone();
        context.tasks.spawn("guard", guard.run(shutdown));
    }

    /// Keeps an application's limits together with the other replicas, if there can be any.
    pub(crate) fn share(
        &self,
        id: u64,
        token: Option<&SecretString>,
        config: &Config,
        store: &Store,
        context: &Context,
    ) {
        let metrics = self.metrics().of(id);
        metrics.store_up(true);
        metrics.replicas(1);
        if !store.is_shared() {
            return;
        }
        self.desk().share(id, true);
        let token = token.map_or("", |token| token.expose_secret());
        let sharing = Sharing {
            application_id: id,
            gateway: self.clone(),
            desk: self.desk().clone(),
            store: store.application(id),
            member: member(token, config.request_timeout),
            metrics,
            check: context.health.check(format!("limits of {id}")),
            shutdown: context.shutdown.clone(),
        };
        context
            .tasks
            .spawn(format!("limits of {id}"), sharing.run());
    }
}

/// The sharing of one application's limits.
#[derive(Debug)]
struct Sharing {
    application_id: u64,
    gateway: Gateway,
    desk: Desk,
    store: Application,
    member: Member,
    metrics: OfApplication,
    /// Whether the store is there.
    check: Check,
    shutdown: CancellationToken,
}

/// This process, as others see it.
fn member(token: &str, request_timeout: Duration) -> Member {
    Member {
        replica: format!("{:012x}", fastrand::u64(..1 << 48)),
        token: discord::limit::fingerprint(token),
        flight: request_timeout + MARGIN,
    }
}

impl Sharing {
    /// Shares until the shutdown, and until what is in flight then has been answered.
    async fn run(self) {
        let Some(news) = self.desk.news(self.application_id) else {
            return;
        };
        let mut last = Instant::now();
        self.known();
        loop {
            let due = async {
                loop {
                    let until = match self.desk.need(self.application_id) {
                        Need::Now => return,
                        Need::Soon => last + PACE,
                        Need::None => last + BEAT,
                    };
                    select! {
                        biased;
                        () = time::sleep_until(until) => return,
                        () = news.notified() => {}
                    }
                }
            };
            select! {
                biased;
                () = self.done() => break,
                () = due => {}
            }
            if let Err(error) = self.report().await
                && self.away(&error).await.is_none()
            {
                break;
            }
            last = Instant::now();
        }
        // What was given and not used is there for the others.
        if self.report().await.is_err() {
            tracing::debug!("the last report on limits was lost: permits run out by themselves");
        }
    }

    /// Tells and asks the store once.
    async fn report(&self) -> Result<(), String> {
        let report = self.desk.report(self.application_id, LINES);
        let asked = self.store.limits(&self.member, &report);
        let reply = match time::timeout(PATIENCE, asked).await {
            Ok(reply) => reply.map_err(|error| chain(&error))?,
            Err(_) => return Err(format!("no answer within {PATIENCE:?}")),
        };
        self.desk.heard(self.application_id, &report, &reply);
        self.heard(&reply);
        Ok(())
    }

    /// The store is away: each keeps to its part until it is back. Nothing at the shutdown.
    async fn away(&self, reason: &str) -> Option<()> {
        self.desk.share(self.application_id, false);
        let replicas = self.desk.replicas(self.application_id);
        self.metrics.store_up(false);
        self.check.note(format!(
            "the store is away, so each of {replicas} replicas keeps to its part of the limits: {reason}"
        ));
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        loop {
            let attempt = async {
                time::sleep(backoff.next()).await;
                self.store.limits(&self.member, &Report::default()).await
            };
            let reply = select! {
                biased;
                () = self.shutdown.cancelled() => return None,
                reply = attempt => reply,
            };
            match reply {
                Ok(reply) => {
                    self.desk.share(self.application_id, true);
                    self.heard(&reply);
                    self.known();
                    return Some(());
                }
                Err(error) => tracing::debug!(reason = chain(&error), "the store is still away"),
            }
        }
    }

    fn known(&self) {
        self.metrics.store_up(true);
        self.check.up();
    }

    fn heard(&self, reply: &Reply) {
        self.metrics.replicas(reply.replicas);
        if reply.revoked {
            self.gateway.revoke(self.application_id);
        }
    }

    /// Ends after the shutdown, when nothing is in flight any more.
    async fn done(&self) {
        self.shutdown.cancelled().await;
        while self.desk.in_flight(self.application_id) > 0 {
            time::sleep(PACE * 10).await;
        }
    }
}

/// Counts invalid requests with all replicas behind the same egress address, and says when they become too many.
#[derive(Debug)]
struct Guard {
    desk: Desk,
    /// The store that others have too, and the name of the address there.
    store: Option<(Store, String)>,
    metrics: Metrics,
    check: Check,
}

impl Guard {
    /// Runs until the shutdown.
    async fn run(self, shutdown: CancellationToken) {
        let mut state = None;
        let mut quiet = 2;
        loop {
            self.look(&mut state);
            if let Some((store, name)) = &self.store {
                quiet += 1;
                let (invalid, banned) = self.desk.address(|address, now| address.report(now));
                // Others may have counted some.
                if invalid > 0 || !banned.is_zero() || quiet >= 3 {
                    quiet = 0;
                    self.tell(store, name, invalid, banned).await;
                }
            }
            select! {
                biased;
                () = shutdown.cancelled() => return,
                () = time::sleep(BEAT) => {}
            }
        }
    }

    async fn tell(&self, store: &Store, name: &str, invalid: u32, banned: Duration) {
        match store.address(name, invalid, banned).await {
            Ok((invalid, banned)) => self.desk.address(|address, now| {
                address.heard(now, invalid, banned);
            }),
            Err(error) => {
                tracing::debug!(reason = chain(&error), "invalid requests are counted alone");
                self.desk.address(|address, _| address.unheard());
            }
        }
    }

    /// Says how near the ban is, or that it is there, whenever that has changed.
    fn look(&self, former: &mut Option<(Level, bool)>) {
        let (level, invalid, banned) = self.desk.address(|address, now| {
            let banned = address.banned(now).map(|until| until.saturating_sub(now));
            (address.level(now), address.invalid(now), banned)
        });
        self.metrics.invalid(invalid);
        self.metrics.level(level);
        self.metrics.banned(banned.is_some());
        let state = (level, banned.is_some());
        if former.replace(state) == Some(state) {
            return;
        }
        if let Some(left) = banned {
            return self.check.note(format!(
                "Cloudflare keeps this address out for another {} s: nothing is sent to Discord before that",
                left.as_secs() + 1
            ));
        }
        match level {
            Level::Quiet => self.check.up(),
            Level::Warned => self.check.note(format!(
                "{invalid} requests were answered 401, 403 or 429 in ten minutes, half of what Discord allows this address: \
                 look for what causes them"
            )),
            Level::Slowed => self.check.note(format!(
                "{invalid} requests were answered 401, 403 or 429 in ten minutes: those that have not succeeded before go slowly"
            )),
            Level::Stopped => self.check.note(format!(
                "{invalid} requests were answered 401, 403 or 429 in ten minutes: only those that have succeeded before go"
            )),
        }
    }
}
