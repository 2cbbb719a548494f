//! A call: one task, which carries out the orders for a guild one after the other, keeps its connection and plays its
//! queue.
//!
//! What takes long (a connection, a source that is opened) goes on beside it. While a worker waits for one of these,
//! the orders behind his wait; news of Discord and of songbird never do.

mod company;
mod connection;
mod keeping;
mod members;
mod orders;
mod record;
mod stage;
mod tracks;

use std::{fmt, future, num::NonZeroU64, sync::Arc, time::Duration};

use boot::CancellationToken;
use broker::{Bindings, Client};
use futures_util::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use sound::{Opened, Sources, StreamSender};
use store::Written;
use tokio::{
    select,
    sync::mpsc,
    time::{self, Instant},
};
use wire::gateway::v1::{Error as Failure, VoiceCall, VoiceConnection, event::Data};

pub(crate) use self::keeping::{Held, TakenOver};
use self::{company::Company, members::Members, record::Tape, tracks::Opening};
use crate::{
    config::{Recordings, Settings},
    driver::{Common, Note, Player, Playing},
    failure::{ending, no_call},
    handshake::{Handshake, Heard},
    herald::{Herald, Whereabouts},
    load::Load,
    metrics::{Counted, Metrics},
    order::{Answer, Job, Order, Reply},
    present::{Present, Someone},
    queue::Queue,
    recorder::{Recorder, Way},
    track::proto,
};

/// How many orders may wait for a call.
pub(crate) const ORDERS: usize = 64;
/// How much news may wait for a call.
const NEWS: usize = 256;
/// How often a call looks how far its track is.
const LOOK: Duration = Duration::from_secs(1);

/// What the calls of an application have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The application.
    pub(crate) application_id: u64,
    /// Its bot's user.
    pub(crate) user_id: NonZeroU64,
    /// This process.
    pub(crate) node: String,
    /// What an operator has set.
    pub(crate) settings: Settings,
    /// The way to `gateway-ws`.
    pub(crate) client: Client,
    /// By what requests for the calls of this node reach it.
    pub(crate) bindings: Bindings,
    /// Where calls outlive their node.
    pub(crate) store: store::Calls,
    /// The way to workers.
    pub(crate) herald: Herald,
    /// Where sound comes from.
    pub(crate) sources: Arc<Sources>,
    /// What all songbirds share.
    pub(crate) songbird: Common,
    /// How busy this process is.
    pub(crate) load: Load,
    /// Where files of recordings go.
    pub(crate) recordings: Arc<Recordings>,
    /// The way of what speakers say to workers.
    pub(crate) way: Way,
    /// Who is in which channel.
    pub(crate) present: Present,
    /// What is counted.
    pub(crate) metrics: Metrics,
}

/// What the gateway says about a guild that has a call.
#[derive(Debug)]
pub(crate) enum News {
    /// About the bot.
    Own(Own),
    /// Where the voice server is.
    Server(Heard),
    /// Where somebody else is.
    Member(Someone),
    /// Where all others are who are in a channel.
    Members(Vec<Someone>),
    /// That a node has connected a call of this guild.
    Connected(String),
    /// Nothing: another node holds the call by now, as the store says.
    Lost,
}

/// The bot's own voice state.
#[derive(Debug)]
pub(crate) struct Own {
    /// Where it is.
    pub(crate) heard: Heard,
    /// Whether it is mute, by whomever.
    pub(crate) mute: bool,
    /// Whether it is deaf, by whomever.
    pub(crate) deaf: bool,
    /// Whether it is in the audience of a stage channel.
    pub(crate) suppressed: bool,
}

/// The way to a call; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    /// For orders.
    pub(crate) jobs: mpsc::Sender<Job>,
    /// For news.
    pub(crate) news: mpsc::Sender<News>,
    /// What the store is told of it.
    pub(crate) held: Arc<Held>,
}

/// A call.
pub(crate) struct Call {
    shared: Arc<Shared>,
    guild_id: u64,
    jobs: mpsc::Receiver<Job>,
    news: mpsc::Receiver<News>,
    notes: mpsc::Receiver<Note>,
    player: Player,
    handshake: Option<Handshake>,
    /// When what is made now was begun.
    since: Instant,
    /// Opcode 4, on its way.
    asking: Option<BoxFuture<'static, Result<Written, Failure>>>,
    /// Why the last one did not get through.
    not_asked: Option<Failure>,
    /// A connection, on its way.
    connecting: Option<BoxFuture<'static, Result<(), Option<u16>>>>,
    /// Who waits until the call is in its channel.
    joining: Option<(Reply, Joining)>,
    queue: Queue,
    playing: Option<Playing>,
    /// A source that is being opened.
    opening: Option<Opening>,
    /// Something else that a worker waits for, and the orders behind his.
    work: Option<BoxFuture<'static, Done>>,
    /// Sound that comes by messages and waits for room. Nothing waits behind it.
    streaming: FuturesUnordered<BoxFuture<'static, Done>>,
    /// The way into the track whose sound comes by messages.
    stream: Option<(String, StreamSender)>,
    /// How far the track is, as it was last seen.
    position: Duration,
    /// When it was.
    looked: Instant,
    /// When it was told.
    told: Instant,
    paused: bool,
    volume: f64,
    self_mute: bool,
    self_deaf: bool,
    mute: bool,
    deaf: bool,
    /// Whether it is to be a speaker in stage channels.
    speak: bool,
    /// Whether it is none.
    suppressed: bool,
    /// The wish to be one, on its way.
    speaking: Option<BoxFuture<'static, Result<(), String>>>,
    members: Members,
    company: Company,
    tape: Tape,
    held: Arc<Held>,
    /// Whether there is something to be saved.
    is_changed: bool,
    /// What is being saved.
    saving: Option<BoxFuture<'static, Result<Written, store::Error>>>,
    /// What another node goes on with.
    handed: Option<Vec<u8>>,
    is_over: bool,
    /// Why it never began.
    refused: Option<Failure>,
    /// Who is told something when the call is forgotten, so that whoever joins next finds it so.
    leaving: Option<(Reply, Result<Answer, Failure>)>,
    _counted: Counted,
}

/// What a worker who waits for a connection is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Joining {
    Join,
    Move,
}

/// What was waited for.
enum Done {
    /// The track is there, or why not.
    Sought(Result<Duration, Option<sound::Error>>, Reply),
    /// There is room for more, or why there is not.
    Streamed(Result<Duration, sound::Error>, Reply),
    /// It is being recorded, or why not.
    Recording(Result<Box<Recorder>, recording::Error>, Reply),
}

impl Call {
    /// A call of a guild, which begins with an order to join.
    pub(crate) fn new(shared: Arc<Shared>, guild_id: NonZeroU64) -> (Self, Handle) {
        let (job_sender, jobs) = mpsc::channel(ORDERS);
        let (news_sender, news) = mpsc::channel(NEWS);
        let held = keeping::held();
        let handle = Handle {
            jobs: job_sender,
            news: news_sender,
            held: Arc::clone(&held),
        };
        let (player, notes) = Player::new(&shared.songbird, guild_id, shared.user_id);
        let call = Self {
            guild_id: guild_id.get(),
            jobs,
            news,
            notes,
            player,
            handshake: None,
            since: Instant::now(),
            asking: None,
            not_asked: None,
            connecting: None,
            joining: None,
            queue: Queue::new(shared.settings.queue),
            playing: None,
            opening: None,
            work: None,
            streaming: FuturesUnordered::new(),
            stream: None,
            position: Duration::ZERO,
            looked: Instant::now(),
            told: Instant::now(),
            paused: false,
            volume: 1.0,
            self_mute: false,
            self_deaf: false,
            mute: false,
            deaf: false,
            speak: false,
            suppressed: false,
            speaking: None,
            members: Members::default(),
            company: Company::default(),
            tape: Tape::default(),
            held,
            is_changed: false,
            saving: None,
            handed: None,
            is_over: false,
            refused: None,
            leaving: None,
            _counted: shared.metrics.call(),
            shared,
        };
        (call, handle)
    }

    /// Runs until the call is over, or the node is stopped; then it is forgotten, and only then is it said so.
    pub(crate) async fn run(
        mut self,
        taken: Option<TakenOver>,
        shutdown: CancellationToken,
        forget: impl FnOnce(),
    ) {
        self.own(taken).await;
        while !self.is_over {
            self.keep();
            let due = self.handshake.as_ref().and_then(Handshake::due);
            let is_free = self.is_free();
            let plays = self.playing.is_some() && !self.paused;
            let look = plays.then(|| self.looked + LOOK);
            let lonely = self.lonely_until();
            let recording = self.tape.recorder.as_ref().map(Recorder::due);
            select! {
                biased;
                () = shutdown.cancelled() => self.stop_node().await,
                done = waited(&mut self.connecting) => self.on_connecting(done),
                saved = waited(&mut self.saving) => self.on_saved(saved),
                asked = waited(&mut self.asking) => self.on_asked(asked),
                spoken = waited(&mut self.speaking) => self.on_spoken(spoken),
                recorded = waited(&mut self.tape.ending) => self.on_recorded(recorded),
                Some(note) = self.notes.recv() => self.on_note(note),
                Some(news) = self.news.recv() => self.on_news(news).await,
                opened = opened(&mut self.opening) => self.on_opened(opened).await,
                done = waited(&mut self.work) => self.on_done(done),
                Some(done) = self.streaming.next() => self.on_done(done),
                Some(job) = self.jobs.recv(), if is_free => self.on_job(job).await,
                () = until(due) => self.on_due(),
                () = until(recording) => self.on_recording_due(),
                () = until(look) => self.look().await,
                () = until(lonely) => self.leave_empty().await,
            }
        }
        self.part().await;
        self.release().await;
        if let Some(ending) = self.tape.ending.take() {
            let recorded = ending.await;
            self.on_recorded(recorded);
        }
        self.jobs.close();
        forget();
        while let Some(job) = self.jobs.recv().await {
            let failure = match (&self.refused, job.order) {
                (Some(refused), _) => refused.clone(),
                (None, Order::Join(_)) => ending(),
                (None, _) => no_call(self.guild_id),
            };
            answer(job.reply, Err(failure));
        }
        if let Some((reply, result)) = self.leaving.take() {
            answer(reply, result);
        }
    }

    /// Whether no worker waits for what he has ordered: else the next order waits, too.
    fn is_free(&self) -> bool {
        self.joining.is_none()
            && self.work.is_none()
            && self.tape.ending.is_none()
            && !self.is_played_for()
    }

    /// Whether a worker waits until a source is opened.
    fn is_played_for(&self) -> bool {
        self.opening.as_ref().is_some_and(Opening::is_waited_for)
    }

    /// Looks how far the track is, and tells it now and then.
    async fn look(&mut self) {
        self.looked = Instant::now();
        self.locate().await;
        if let Some(playing) = &self.playing {
            playing.count();
        }
        let every = self.shared.settings.position_interval;
        let connected = self.is_connected();
        let Some(track) = self.queue.playing().cloned() else {
            return;
        };
        if every.is_zero() || !connected || self.told.elapsed() < every {
            return;
        }
        self.told = Instant::now();
        let event = wire::gateway::v1::TrackPosition {
            guild_id: self.guild_id,
            channel_id: self.channel_id(),
            track_id: track.id().to_owned(),
            position: Some(proto(self.position)),
        };
        self.tell(Data::TrackPosition(Box::new(event)));
    }

    /// Finds out how far the track is.
    async fn locate(&mut self) {
        if !self.is_connected() {
            return;
        }
        if let Some(playing) = &self.playing
            && let Some(position) = playing.position().await
        {
            self.position = position;
        }
        self.held.locate(self.position);
    }

    fn is_connected(&self) -> bool {
        self.handshake.as_ref().is_some_and(Handshake::is_connected)
    }

    fn channel_id(&self) -> u64 {
        self.handshake.as_ref().map_or(0, Handshake::channel_id)
    }

    /// The call as workers see it.
    fn shown(&self) -> VoiceCall {
        let connection = match (&self.handshake, &self.joining) {
            (Some(handshake), _) if handshake.is_connected() => VoiceConnection::Connected,
            (Some(_), None) => VoiceConnection::Reconnecting,
            _ => VoiceConnection::Connecting,
        };
        let track = self.queue.playing();
        VoiceCall {
            guild_id: self.guild_id,
            channel_id: self.channel_id(),
            connection: connection.into(),
            position: track.map(|_| proto(self.position)),
            track: track.map(crate::track::Track::shown),
            paused: self.paused,
            queued: u32::try_from(self.queue.waiting()).unwrap_or(u32::MAX),
            volume: self.volume,
            r#loop: self.queue.looping().into(),
            mute: self.mute || self.self_mute,
            deaf: self.deaf || self.self_deaf,
            recording: self.tape.recorder.is_some(),
            node: self.shared.node.clone(),
            latency: None,
            recording_id: self.tape.id(),
            suppressed: self.suppressed,
        }
    }

    fn tell(&self, data: Data) {
        self.tell_of(None, data);
    }

    fn tell_of(&self, user_id: Option<u64>, data: Data) {
        let place = Whereabouts {
            guild_id: self.guild_id,
            channel_id: self.channel_id(),
            user_id,
        };
        self.shared.herald.tell(place, data);
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("guild_id", &self.guild_id)
            .finish_non_exhaustive()
    }
}

/// Tells a worker; one who is gone does not hear it.
fn answer(reply: Reply, result: Result<Answer, Failure>) {
    if reply.send(result).is_err() {
        tracing::trace!("nobody waits for an answer any more");
    }
}

/// What comes of something that is under way; for ever, when nothing is.
async fn waited<T>(slot: &mut Option<BoxFuture<'static, T>>) -> T {
    let Some(work) = slot else {
        return future::pending().await;
    };
    let result = work.await;
    *slot = None;
    result
}

/// The same of a source.
async fn opened(slot: &mut Option<Opening>) -> (Opening, Result<Opened, sound::Error>) {
    let Some(opening) = slot else {
        return future::pending().await;
    };
    let result = opening.wait().await;
    match slot.take() {
        Some(opening) => (opening, result),
        None => future::pending().await,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => time::sleep_until(due).await,
        None => future::pending().await,
    }
}
