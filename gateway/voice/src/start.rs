//! From the configuration to applications whose calls are steered.

use std::{future::Future, sync::Arc, time::Duration};

use boot::{CancellationToken, Context};
use broker::{Broker, Exchange, Live};
use sound::Sources;
use store::Store;
use tokio::sync::Semaphore;

use crate::{
    Config, Error,
    call::Shared,
    calls::Calls,
    config::{Application, Empty, Recordings, Settings},
    driver::Common,
    heard, herald,
    load::{self, Load},
    metrics::Metrics,
    owner::Owner,
    present::Present,
    recorder::Way,
    service::{AT_ONCE, Desk, Door, SERVICE, listen, node_key},
};

/// How long what speakers say waits for workers in RabbitMQ: whoever has not read it by then needs it no more.
const HEARABLE: Duration = Duration::from_secs(60);

/// What the applications of a process have in common.
struct House {
    node: String,
    settings: Settings,
    broker: Broker,
    live: Live,
    recordings: Arc<Recordings>,
    sources: Arc<Sources>,
    songbird: Common,
    store: Store,
    load: Load,
    room: Arc<Semaphore>,
    metrics: Metrics,
    context: Context,
    /// Until then opcode 4 gets through: calls end after the shutdown has begun.
    end: CancellationToken,
}

/// Runs the service until its shutdown; the calls end with it.
///
/// # Errors
///
/// What a person has to change: the configuration.
pub async fn run(config: Config, context: Context) -> Result<(), Error> {
    let Config {
        applications,
        settings,
        recordings,
        sound,
        store,
        broker,
    } = config;
    let metrics = Metrics::new(&context.metrics);
    let broker = Broker::start(broker, &context);
    let house = House {
        node: format!("{:012x}", fastrand::u64(..1 << 48)),
        settings,
        live: broker.live(Exchange::VoiceAudio, HEARABLE),
        broker,
        recordings: Arc::new(recordings),
        sources: Arc::new(Sources::new(sound).map_err(|error| Error::Sources(error.into()))?),
        songbird: Common::new(metrics.clone()),
        store: Store::open(&store)?,
        load: Load::new(settings.cpu),
        room: Arc::new(Semaphore::new(settings.calls as usize)),
        metrics,
        context,
        end: CancellationToken::new(),
    };
    tracing::info!(node = house.node, calls = settings.calls, "starting");
    house.watch();
    let doors: Vec<_> = applications.iter().map(|it| house.open(*it)).collect();
    let House {
        room,
        broker,
        live,
        end,
        ..
    } = house;
    drop((broker, live));
    futures_util::future::join_all(doors).await;
    // All room is there again when all calls have ended. Nobody closes it.
    let ended = room.acquire_many(settings.calls).await;
    drop(ended);
    end.cancel();
    Ok(())
}

impl House {
    /// Begins to look how busy the process is.
    fn watch(&self) {
        let (songbird, metrics) = (self.songbird.clone(), self.metrics.clone());
        let shutdown = self.context.shutdown.clone();
        let watching = load::watch(self.load.clone(), songbird, metrics, shutdown);
        self.context.tasks.spawn("load", watching);
    }

    /// Begins to serve an application; what is returned ends with the last answer.
    fn open(&self, application: Application) -> impl Future<Output = ()> + use<> {
        let Application { id, user_id } = application;
        let (metrics, shutdown) = (self.metrics.clone(), self.context.shutdown.clone());
        let (herald, courier) = herald::open(&self.broker, id, &self.node, metrics.clone());
        self.context.tasks.spawn("events of calls", courier.run());
        let owned = self.broker.owned(SERVICE, id, &self.node);
        owned.bindings().bind(node_key("*", id, &self.node));
        let store = self.store.calls(id);
        let shared = Arc::new(Shared {
            application_id: id,
            user_id,
            node: self.node.clone(),
            settings: self.settings,
            client: self.broker.client_until("gateway-voice", self.end.clone()),
            bindings: owned.bindings(),
            store: store.clone(),
            herald,
            sources: Arc::clone(&self.sources),
            songbird: self.songbird.clone(),
            load: self.load.clone(),
            recordings: Arc::clone(&self.recordings),
            way: Way {
                live: self.live.clone(),
                application_id: id,
            },
            present: Present::default(),
            metrics: metrics.clone(),
        });
        let calls = Calls::new(
            shared,
            Arc::clone(&self.room),
            self.context.tasks.clone(),
            shutdown.clone(),
        );
        let events = self.broker.events(SERVICE, id, &self.events());
        let listening = listen(events, calls.clone(), shutdown.clone());
        self.context.tasks.spawn("events of the gateway", listening);
        let check = self
            .context
            .health
            .check(format!("calls of application {id}"));
        let owner = Owner::new(calls.clone(), store, check, self.settings.lease_ttl);
        self.context
            .tasks
            .spawn("leases of calls", owner.run(shutdown.clone()));
        let desk = Desk {
            application_id: id,
            calls,
            metrics,
            traces: self.context.traces.clone(),
        };
        let door = Door {
            requests: self.broker.requests_of(&[SERVICE], id, AT_ONCE),
            owned,
            desk,
        };
        door.run(shutdown)
    }

    /// The events that calls have to hear of.
    fn events(&self) -> Vec<&'static str> {
        let mut names = heard::NAMES.to_vec();
        if self.settings.empty != Empty::Stay {
            names.push(heard::GUILD);
        }
        if self.store.is_shared() {
            names.push(heard::CONNECTED);
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use boot::Reader;
    use broker::Broker;

    use crate::{Config, KEYS, metrics::Metrics};

    #[tokio::test]
    async fn the_readme_lists_every_metric_and_no_other() {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let context = boot::Context::new();
        let id = ("DISCORD_APPLICATION_ID".to_owned(), "7".to_owned());
        let mut reader = Reader::of("voice", KEYS, [id], None);
        let config = Config::read(&mut reader);
        let config = reader.finish(config).unwrap();
        Metrics::new(&context.metrics);
        let broker = Broker::start(config.broker, &context);
        let documented = boot::metrics::documented(include_str!("../README.md"));
        assert_eq!(documented, context.metrics.names());
        drop(broker);
        context.shutdown.cancel();
    }
}
