//! A simulated Discord, and `gateway-http` and other services beside it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use sim::{Config, Interact, Interacted, InteractionKind, RestConfig, Sim};
use tokio::time::{self, Instant};

use crate::{
    rabbitmq::Rabbit,
    service::{Service, services},
};

/// How long something may take that has to happen.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long Discord waits here before an interaction is deferred.
pub const DEFER: Duration = Duration::from_millis(700);

/// A webhook that exists, with the simulator's token.
pub const HOOK: u64 = 55;

/// What a user reads when nothing else can be said.
pub const SORRY: &str = "Sorry!";

/// A simulated Discord, and how to start services beside it.
#[derive(Debug)]
pub struct Stage {
    /// The simulated Discord.
    pub sim: Sim,
    /// The application that interactions are for.
    pub application_id: u64,
    /// What the names of exchanges and queues begin with.
    pub prefix: String,
    programs: PathBuf,
    variables: BTreeMap<String, String>,
}

impl Stage {
    /// A stage with this RabbitMQ.
    pub async fn new(rabbit: &Rabbit, prefix: &str) -> Result<Self> {
        Self::with(services()?, &rabbit.url(), prefix).await
    }

    /// A stage with the services in this folder, and the RabbitMQ at this URL.
    pub async fn with(programs: &Path, amqp: &str, prefix: &str) -> Result<Self> {
        Self::on(Config::default(), programs, amqp, prefix).await
    }

    /// The same, with a Discord that is like this but for its guilds and webhooks.
    pub async fn on(discord: Config, programs: &Path, amqp: &str, prefix: &str) -> Result<Self> {
        crate::crypto();
        let config = Config {
            guilds: 3,
            rest: RestConfig {
                webhooks: vec![HOOK],
                ..discord.rest
            },
            ..discord
        };
        let sim = Sim::start(config).await?;
        let mut stage = Self {
            application_id: sim.settings().application_id,
            prefix: prefix.to_owned(),
            programs: programs.to_owned(),
            variables: BTreeMap::new(),
            sim,
        };
        let id = stage.application_id.to_string();
        let defer = format!("{}ms", DEFER.as_millis());
        for (name, value) in [
            ("AMQP_URL", amqp),
            ("AMQP_PREFIX", prefix),
            ("DISCORD_PUBLIC_KEY", &stage.sim.public_key()),
            ("DISCORD_APPLICATION_ID", &id),
            ("DISCORD_TOKEN", "sim.token"),
            ("DISCORD_API_URL", &stage.sim.api_url()),
            ("DISCORD_INTENTS", "GUILDS"),
            ("INTERACTION_DEFER_AFTER", &defer),
            ("INTERACTION_FAILURE_MESSAGE", SORRY),
            ("ADMIN_ADDRESS", "127.0.0.1:0"),
            ("NO_COLOR", "1"),
        ] {
            stage.set(name, value);
        }
        Ok(stage)
    }

    /// Sets a variable of the services that are started from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Starts a `gateway-http` that takes interactions; the URL of its endpoint.
    pub async fn http(&self) -> Result<(Service, String)> {
        self.http_at(0).await
    }

    /// The same, on this port.
    pub async fn http_at(&self, port: u16) -> Result<(Service, String)> {
        let address = format!("127.0.0.1:{port}");
        let service = self.start("gateway-http", &[("HTTP_ADDRESS", &address)])?;
        ready(&service).await?;
        let url = format!("{}/interactions", service.http().await?);
        Ok((service, url))
    }

    /// Starts a `gateway-api` that takes requests.
    pub async fn api(&self) -> Result<Service> {
        let service = self.start("gateway-api", &[])?;
        ready(&service).await?;
        Ok(service)
    }

    /// Starts a `gateway-ws` that is connected.
    pub async fn ws(&self) -> Result<Service> {
        let service = self.start("gateway-ws", &[])?;
        ready(&service).await?;
        Ok(service)
    }

    /// Starts a program with these variables, beside those of all, and with these arguments.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub fn order(
        &self,
        program: &str,
        own: &[(&str, &str)],
        arguments: &[&str],
    ) -> Result<Service> {
        let variables = self.variables.iter();
        let variables = variables.map(|(name, value)| (name.as_str(), value.as_str()));
        let variables: Vec<_> = variables.chain(own.iter().copied()).collect();
        Service::start(&self.programs.join(program), &variables, arguments)
    }

    fn start(&self, program: &str, own: &[(&str, &str)]) -> Result<Service> {
        self.order(program, own, &[])
    }

    /// Sends one interaction, and waits for its answer.
    pub async fn send(&self, url: &str, kind: InteractionKind, name: &str) -> Result<Interacted> {
        let order = Interact {
            url: url.to_owned(),
            kind,
            name: name.to_owned(),
            ..Interact::default()
        };
        let sent = self.sim.interact(&order).await?;
        sent.into_iter().next().context("one was sent")
    }

    /// Waits until what has followed is as wanted.
    pub async fn follows(
        &self,
        mut sent: Interacted,
        wanted: impl Fn(&Interacted) -> bool,
    ) -> Result<Interacted> {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(&sent) {
            ensure!(Instant::now() < deadline, "{sent:#?}");
            time::sleep(Duration::from_millis(10)).await;
            self.sim.look(&mut sent);
        }
        Ok(sent)
    }

    /// Fails when somebody broke one of Discord's rules.
    pub fn rules_kept(&self) -> Result<()> {
        let violations = self.sim.violations();
        ensure!(violations.is_empty(), "{violations:#?}");
        Ok(())
    }
}

/// Waits until a service says that it is ready.
pub async fn ready(service: &Service) -> Result<()> {
    let url = format!("{}/readyz", service.admin().await?);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = reqwest::get(&url).await?;
        if answer.status().is_success() {
            return Ok(());
        }
        let text = answer.text().await?;
        ensure!(Instant::now() < deadline, "{text}\n{}", service.log());
        time::sleep(Duration::from_millis(10)).await;
    }
}

/// What the answer says, as Discord shows it.
pub fn content(sent: &Interacted) -> Value {
    let answer = sent.answer.as_ref();
    answer.map_or(Value::Null, |answer| answer["data"]["content"].clone())
}

/// Whether a user alone was told that it did not work.
pub fn is_sorry(sent: &Interacted) -> bool {
    let answer = sent.answer.clone().unwrap_or_default();
    answer["type"] == 4 && answer["data"]["content"] == SORRY && answer["data"]["flags"] == 64
}
