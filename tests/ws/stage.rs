//! A simulated Discord and the settings of a `gateway-ws` beside it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use anyhow::{Result, ensure};
use serde_json::Value;
use sim::{Config, EmitRequest, EmittedQuery, Sim};
use tests::{
    redis::Redis,
    service::{Service, gateway_ws},
};
use tokio::time::{self, Instant};

/// How long the simulator may take to see what a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// All intents that Discord defines.
const ALL_INTENTS: &str = "53608447";

/// A simulated Discord, and how to start a `gateway-ws` beside it.
pub(crate) struct Stage {
    pub(crate) sim: Sim,
    variables: BTreeMap<String, String>,
    /// What a shell does before it becomes the service.
    shell: Option<&'static str>,
}

impl Stage {
    /// A stage on which the service writes to stdout.
    pub(crate) async fn new(config: Config) -> Result<Self> {
        tests::crypto();
        let sim = Sim::start(config).await?;
        let mut stage = Self {
            variables: BTreeMap::new(),
            shell: None,
            sim,
        };
        stage.set("DISCORD_TOKEN", "sim.token");
        stage.set("DISCORD_API_URL", &stage.sim.api_url());
        stage.set("DISCORD_INTENTS", ALL_INTENTS);
        stage.set("BROKER_TYPE", "stdio");
        stage.set("ADMIN_ADDRESS", "127.0.0.1:0");
        stage.set("NO_COLOR", "1");
        Ok(stage)
    }

    /// A small Discord: few guilds, one shard.
    pub(crate) async fn small() -> Result<Self> {
        Self::new(Config {
            guilds: 3,
            ..Config::default()
        })
        .await
    }

    /// Sets a variable of the services that are started from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Lets a shell run this before it becomes the service, for the services that are started from now on.
    pub(crate) fn prepare(&mut self, shell: &'static str) {
        self.shell = Some(shell);
    }

    /// Starts a service.
    pub(crate) fn start(&self) -> Result<Service> {
        let variables: Vec<(&str, &str)> = self
            .variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let program = gateway_ws()?;
        let Some(shell) = self.shell else {
            return Service::start(program, &variables, &[]);
        };
        let script = format!("{shell}; exec \"$0\"");
        let arguments = ["-c", &script, &*program.to_string_lossy()];
        Service::start(Path::new("/bin/sh"), &variables, &arguments)
    }

    /// Starts a service and waits until all its shards know their guilds.
    pub(crate) async fn start_ready(&self) -> Result<Service> {
        let service = self.start()?;
        self.ready(&service).await?;
        Ok(service)
    }

    /// Waits until all shards of a service that has just been started know their guilds: that the simulator has
    /// told them does not mean that they have heard.
    pub(crate) async fn ready(&self, service: &Service) -> Result<()> {
        service
            .until("all shards", || Ok(self.sim.is_ready()))
            .await?;
        let told = self.dispatched().len() as f64;
        let url = format!("{}/metrics", service.admin().await?);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let metrics = reqwest::get(&url).await?.text().await?;
            let heard = metrics
                .lines()
                .filter(|line| line.starts_with("gateway_ws_received_total{"))
                .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
            if heard.sum::<f64>() >= told {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{metrics}\n{}", service.log());
            time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Lets the simulator emit so many events, as fast as they are read.
    pub(crate) async fn emit(&self, count: u64) -> Result<()> {
        let request = EmitRequest {
            count: Some(count),
            ..EmitRequest::default()
        };
        let progress = self.sim.emit(request).await?;
        ensure!(
            progress.events == count,
            "only {} of {count} were emitted",
            progress.events
        );
        Ok(())
    }

    /// The ids of all events that the simulator has dispatched.
    pub(crate) fn dispatched(&self) -> BTreeSet<String> {
        let emitted = self.sim.emitted(&EmittedQuery::default());
        let ids = emitted.sessions.iter().flat_map(|session| {
            (session.from..=session.last).map(|sequence| format!("{}:{sequence}", session.session))
        });
        ids.collect()
    }

    /// Waits until the service has written every event that was dispatched; returns Discord's events.
    pub(crate) async fn everything_written(&self, service: &Service) -> Result<Vec<Value>> {
        let expected = self.dispatched();
        let everything = || Ok(ids(&service.messages()?).is_superset(&expected));
        service.until("every event", everything).await?;
        let messages = service.messages()?.into_iter();
        Ok(messages.filter(|message| !is_own(message)).collect())
    }

    /// Waits until so many sessions are saved in Redis.
    pub(crate) async fn saved(
        &self,
        service: &Service,
        redis: &Redis,
        sessions: u64,
    ) -> Result<()> {
        let id = self.sim.settings().application_id;
        let command = format!("HLEN discord:{{{id}}}:sessions");
        let saved = || Ok(redis.number(&command)? == sessions);
        service.until("saved sessions", saved).await
    }

    /// Fails when the client broke one of Discord's rules.
    pub(crate) fn rules_kept(&self) -> Result<()> {
        let violations = self.sim.violations();
        ensure!(violations.is_empty(), "{violations:#?}");
        Ok(())
    }
}

/// Whether this is an event that the service makes itself.
pub(crate) fn is_own(message: &Value) -> bool {
    message["body"]["source"] == "SOURCE_GATEWAY"
}

/// The ids of Discord's events.
pub(crate) fn ids(messages: &[Value]) -> BTreeSet<String> {
    messages
        .iter()
        .filter(|message| !is_own(message))
        .filter_map(|message| message["message_id"].as_str())
        .map(str::to_owned)
        .collect()
}

/// The messages of events with this name.
pub(crate) fn named<'a>(messages: &'a [Value], name: &str) -> Vec<&'a Value> {
    messages
        .iter()
        .filter(|message| message["headers"]["event"] == name)
        .collect()
}

/// Waits until so many sessions are saved in a file.
pub(crate) async fn saved_in(service: &Service, file: &Path, sessions: usize) -> Result<()> {
    let saved = || {
        let text = fs::read_to_string(file).unwrap_or_default();
        Ok(text.matches("resume_url").count() == sessions)
    };
    service.until("saved sessions", saved).await
}
