//! The handle of a running simulator.

use std::{io, sync::Arc, time::Duration};

use serde_json::{Map, Value, json};
use sim_voice::VoiceServer;
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    config::Config,
    error::Error,
    events::{self, Attempt, Delivery, WebhookEvent},
    faults::Faults,
    gateway::{connections::Door, listener},
    generator::{self, Emission, EmitRequest, Progress},
    guilds, http,
    interactions::{self, Interact, Interacted, Interactions, Signature},
    orders::{self, Dispatch},
    rest::Request,
    state::{self, Emitted, EmittedQuery, State},
    violations::{Violation, Violations},
    voice::{Voice, VoiceOrder},
    world::{Urls, World},
};

/// How long stopping may take before tasks are aborted.
const GRACE: Duration = Duration::from_secs(5);
/// How often expired sessions are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// A running simulator; dropping it ends everything.
#[derive(Debug)]
pub struct Sim {
    world: Arc<World>,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
    _guard: DropGuard,
}

impl Sim {
    /// Opens the listeners and starts.
    ///
    /// # Errors
    ///
    /// When a listener cannot be opened or the configuration makes no sense.
    pub async fn start(config: Config) -> io::Result<Self> {
        config
            .check()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))?;
        let api = TcpListener::bind(config.address).await?;
        let gateway = TcpListener::bind(config.gateway_address).await?;
        let resume = TcpListener::bind(config.resume_address).await?;
        let violations = Arc::new(Violations::new(Instant::now()));
        let voice = Voice::start(&config, &violations)
            .await
            .map_err(io::Error::other)?;
        let base = format!("http://{}", api.local_addr()?);
        let urls = Urls {
            api: format!("{base}/api/v10"),
            control: format!("{base}/sim"),
            gateway: format!("ws://{}", gateway.local_addr()?),
            resume: format!("ws://{}", resume.local_addr()?),
            voice: voice.url(),
        };
        let (emission, jobs) = Emission::new();
        let world = Arc::new(World::new(config, urls, emission, (violations, voice)));
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for (listener, door) in [(gateway, Door::Gateway), (resume, Door::Resume)] {
            tasks.spawn(listener::run(
                listener,
                door,
                Arc::clone(&world),
                shutdown.clone(),
            ));
        }
        tasks.spawn(generator::serve(Arc::clone(&world), jobs, shutdown.clone()));
        tasks.spawn(sweep(Arc::clone(&world), shutdown.clone()));
        tasks.spawn(serve_http(api, Arc::clone(&world), shutdown.clone()));
        let guard = shutdown.clone().drop_guard();
        Ok(Self {
            world,
            shutdown,
            tasks,
            _guard: guard,
        })
    }

    /// Base of the REST routes, such as `http://127.0.0.1:4000/api/v10`.
    #[must_use]
    pub fn api_url(&self) -> String {
        self.world.urls.api.clone()
    }

    /// Base of the control routes, such as `http://127.0.0.1:4000/sim`.
    #[must_use]
    pub fn control_url(&self) -> String {
        self.world.urls.control.clone()
    }

    /// What `GET /gateway` answers.
    #[must_use]
    pub fn gateway_url(&self) -> String {
        self.world.urls.gateway.clone()
    }

    /// What READY names for resumes.
    #[must_use]
    pub fn resume_url(&self) -> String {
        self.world.urls.resume.clone()
    }

    /// All addresses.
    #[must_use]
    pub fn urls(&self) -> Urls {
        self.world.urls.clone()
    }

    /// Everything at this moment.
    #[must_use]
    pub fn state(&self) -> State {
        state::state(&self.world)
    }

    /// What clients did against Discord's rules.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.world.violations.list()
    }

    /// Forgets the violations so far.
    pub fn clear_violations(&self) {
        self.world.violations.clear();
        self.world.voice.server().clear_violations();
    }

    /// All dispatches that sessions got.
    #[must_use]
    pub fn emitted(&self, query: &EmittedQuery) -> Emitted {
        state::emitted(&self.world, query)
    }

    /// The newest requests to Discord's routes, in the order of their answers.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.world.rest().tally.requests(0)
    }

    /// Sends a webhook event, signed, and again until it is taken or its time is over.
    ///
    /// # Errors
    ///
    /// When the URL makes no sense.
    pub async fn send_event(&self, event: &WebhookEvent) -> Result<Delivery, Error> {
        events::send(&self.world, event).await
    }

    /// Sends a PING to where webhook events go, and the same with signatures that are none: what Discord does when an
    /// address is saved. How each was answered.
    ///
    /// # Errors
    ///
    /// When the URL makes no sense.
    pub async fn probe_events(&self, url: &str) -> Result<Vec<(Signature, Attempt)>, Error> {
        events::probe(&self.world, url).await
    }

    /// Puts a message into a channel, as old as its id says.
    pub fn put_message(&self, channel_id: u64, id: u64) {
        let message = json!({
            "id": id.to_string(), "channel_id": channel_id.to_string(), "type": 0,
            "content": "put", "author": guilds::user_object(1), "attachments": [], "embeds": [],
        });
        self.world
            .rest()
            .things
            .put_message(channel_id, id, message);
    }

    /// Ids of the messages that a channel has, the oldest first.
    #[must_use]
    pub fn message_ids(&self, channel_id: u64) -> Vec<u64> {
        let rest = self.world.rest();
        rest.things.messages(channel_id).map(|(id, _)| id).collect()
    }

    /// The public key of the application, for whoever checks signatures.
    #[must_use]
    pub fn public_key(&self) -> String {
        self.world.signer().public_key()
    }

    /// Sends interactions, and waits for their answers: at the most 3 s each.
    ///
    /// # Errors
    ///
    /// When the order makes no sense.
    pub async fn interact(&self, order: &Interact) -> Result<Vec<Interacted>, Error> {
        interactions::run(&self.world, order).await
    }

    /// Tests an endpoint with bad signatures, as Discord does; the status that each got.
    ///
    /// # Errors
    ///
    /// When the URL makes no sense.
    pub async fn probe(&self, url: &str) -> Result<Vec<(Signature, Option<u16>)>, Error> {
        interactions::send_probes(&self.world, url).await
    }

    /// What has followed an interaction by now.
    pub fn look(&self, sent: &mut Interacted) {
        interactions::look(&self.world, sent);
    }

    /// How all interactions stand.
    #[must_use]
    pub fn interactions(&self) -> Interactions {
        self.world.rest().things.sent.totals.clone()
    }

    /// Ids of a guild's channels.
    #[must_use]
    pub fn channel_ids(&self, guild_id: u64) -> Vec<u64> {
        let guilds = self.world.guilds();
        let guild = guilds.iter().find(|guild| guild.id == guild_id);
        guild
            .into_iter()
            .flat_map(|guild| guild.channel_ids())
            .collect()
    }

    /// Ids of the guilds.
    #[must_use]
    pub fn guild_ids(&self) -> Vec<u64> {
        self.world.guilds().iter().map(|guild| guild.id).collect()
    }

    /// The shard that a guild's events go to.
    #[must_use]
    pub fn shard_of(guild_id: u64, shard_count: u32) -> u32 {
        guilds::shard_of(guild_id, shard_count)
    }

    /// The voice server: what it hears, how it misbehaves, and what simulated users say.
    #[must_use]
    pub fn voice(&self) -> &VoiceServer {
        self.world.voice.server()
    }

    /// Does with the bot in a guild's voice what a moderator can do, or Discord; how many sessions are told.
    ///
    /// # Errors
    ///
    /// When the bot is in no voice channel of the guild.
    pub fn order_voice(&self, guild_id: u64, order: VoiceOrder) -> Result<usize, Error> {
        self.world.voice.order(&self.world, guild_id, order)
    }

    /// Dispatches one event; returns how many sessions got it.
    ///
    /// # Errors
    ///
    /// When the name or the JSON text is not usable.
    pub fn dispatch(&self, event: &Dispatch) -> Result<usize, Error> {
        orders::dispatch(&self.world, event)
    }

    /// Writes text to the connections of the shard, or to all, as if it were a payload.
    ///
    /// # Errors
    ///
    /// When there is no such connection.
    pub fn raw(&self, shard: Option<u32>, text: impl Into<String>) -> Result<usize, Error> {
        orders::text(&self.world, shard, text.into())
    }

    /// Closes the connections of the shard, or all, with the code.
    ///
    /// # Errors
    ///
    /// When there is no such connection, or the code may not be sent.
    pub fn close(&self, shard: Option<u32>, code: u16) -> Result<usize, Error> {
        orders::close(&self.world, shard, code)
    }

    /// Ends the TCP connections of the shard, or all, without a close frame.
    ///
    /// # Errors
    ///
    /// When there is no such connection.
    pub fn drop_connections(&self, shard: Option<u32>) -> Result<usize, Error> {
        orders::kill(&self.world, shard)
    }

    /// Reads and writes nothing any more on the connections of the shard, or all, as on a network path that has died.
    ///
    /// # Errors
    ///
    /// When there is no such connection.
    pub fn black_hole(&self, shard: Option<u32>) -> Result<usize, Error> {
        orders::black_hole(&self.world, shard)
    }

    /// Sends op 7.
    ///
    /// # Errors
    ///
    /// When there is no such connection.
    pub fn reconnect(&self, shard: Option<u32>) -> Result<usize, Error> {
        orders::reconnect(&self.world, shard)
    }

    /// Sends op 9; the sessions end unless they are resumable.
    ///
    /// # Errors
    ///
    /// When there is no such connection.
    pub fn invalid(&self, shard: Option<u32>, resumable: bool) -> Result<usize, Error> {
        orders::invalid(&self.world, shard, resumable)
    }

    /// Sends op 1, which demands a heartbeat.
    ///
    /// # Errors
    ///
    /// When there is no such connection.
    pub fn heartbeat(&self, shard: Option<u32>) -> Result<usize, Error> {
        orders::heartbeat(&self.world, shard)
    }

    /// The faults that are switched on.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.world.faults.borrow().clone()
    }

    /// Switches faults on and off.
    pub fn change_faults(&self, change: impl FnOnce(&mut Faults)) {
        self.world.faults.send_modify(change);
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> Config {
        self.world.config().as_ref().clone()
    }

    /// Changes the named settings. Sessions that exist keep what they began with, except that a new token ends all of
    /// them with 4004, and intents that are not allowed any more end those that have them with 4014.
    ///
    /// # Errors
    ///
    /// When a setting does not exist, is fixed or has no usable value.
    pub fn change_settings(&self, patch: &Map<String, Value>) -> Result<Config, Error> {
        self.world.change_settings(patch)
    }

    /// Emits events and waits for the end of the run, which needs a count.
    ///
    /// # Errors
    ///
    /// When a run is going on or the request makes no sense.
    pub async fn emit(&self, request: EmitRequest) -> Result<Progress, Error> {
        if request.count.is_none() {
            return Err(Error::Invalid(
                "a run that is waited for needs a count".to_owned(),
            ));
        }
        let job = self.world.emission.start(request)?;
        Ok(job.finished().await)
    }

    /// Starts to emit events.
    ///
    /// # Errors
    ///
    /// When a run is going on or the request makes no sense.
    pub fn start_emission(&self, request: EmitRequest) -> Result<(), Error> {
        self.world.emission.start(request).map(drop)
    }

    /// Ends the run, if there is one, and waits until nothing more comes.
    pub async fn stop_emission(&self) -> Progress {
        self.world.emission.stop_and_wait().await;
        self.progress()
    }

    /// How far the last run is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.world.emission.progress()
    }

    /// Waits until the state is as wanted.
    ///
    /// # Errors
    ///
    /// When it does not come to that in time.
    pub async fn wait_for(
        &self,
        what: &str,
        patience: Duration,
        wanted: impl Fn(&State) -> bool,
    ) -> Result<State, Error> {
        let seen = sim_voice::wait_for(what, patience, || self.state(), wanted).await;
        Ok(seen?)
    }

    /// Whether all shards of some set are connected and know their guilds.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state().is_ready()
    }

    /// Ends everything in order.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(GRACE, ended).await.is_err() {
            tracing::warn!("the simulator's tasks did not end in time");
        }
    }
}

async fn serve_http(listener: TcpListener, world: Arc<World>, shutdown: CancellationToken) {
    if let Err(error) = http::serve(listener, world, shutdown).await {
        tracing::error!(%error, "the HTTP listener failed");
    }
}

/// Ends sessions that nobody came back to.
async fn sweep(world: Arc<World>, shutdown: CancellationToken) {
    let mut ticks = interval(SWEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        world.sweep();
    }
}
