//! RabbitMQ and Redis with the users of `deploy/`, and connections of these users.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use lapin::{Channel, Connection, ConnectionProperties};
use tempfile::TempDir;

use crate::rabbitmq::Rabbit;

/// What the names of exchanges and queues begin with in `definitions.json`.
pub const PREFIX: &str = "discord";

/// Servers that know the users, and the secrets of these.
#[derive(Debug)]
pub struct Deployment {
    rabbit: Option<Rabbit>,
    folder: TempDir,
}

impl Deployment {
    /// Makes secrets as an operator does, and a RabbitMQ that begins with the definitions.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        // RabbitMQ is not there yet, and its address is not known.
        setup(folder.path(), "127.0.0.1:1")?;
        let mut deployment = Self {
            rabbit: None,
            folder,
        };
        let definitions = deployment.definitions();
        let rabbit = Rabbit::configured(&format!("load_definitions = {}", definitions.display()))?;
        let address = format!("127.0.0.1:{}", rabbit.port());
        setup(deployment.folder.path(), &address)?;
        deployment.rabbit = Some(rabbit);
        Ok(deployment)
    }

    /// The secrets alone.
    pub fn secrets() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        setup(folder.path(), "127.0.0.1:1")?;
        Ok(Self {
            rabbit: None,
            folder,
        })
    }

    /// The server, if there is one.
    pub fn rabbit(&self) -> Result<&Rabbit> {
        self.rabbit.as_ref().context("there is no server")
    }

    /// The file with the users of RabbitMQ.
    #[must_use]
    pub fn definitions(&self) -> PathBuf {
        self.folder.path().join("rabbitmq/definitions.json")
    }

    /// The file with the users of Redis.
    #[must_use]
    pub fn users(&self) -> PathBuf {
        self.folder.path().join("valkey/users.acl")
    }

    /// What a file of a user says.
    pub fn secret(&self, user: &str, name: &str) -> Result<String> {
        read(self.folder.path(), user, name)
    }

    /// Where a user logs in.
    pub fn url(&self, user: &str) -> Result<String> {
        self.secret(user, "amqp-url")
    }

    /// A connection of a user.
    pub async fn connect(&self, user: &str) -> Result<Connection> {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&self.url(user)?, properties).await;
        connection.with_context(|| format!("the login of {user}"))
    }

    /// A channel of a user, with its connection.
    pub async fn open(&self, user: &str) -> Result<(Connection, Channel)> {
        let connection = self.connect(user).await?;
        let channel = connection.create_channel().await?;
        Ok((connection, channel))
    }
}

/// What a file of a user says, in a folder with secrets.
pub fn read(folder: &Path, user: &str, name: &str) -> Result<String> {
    let path = folder.join(user).join(name);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(text.trim().to_owned())
}

/// The folder with what operators use.
#[must_use]
pub fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// Makes secrets in this folder.
pub fn setup(folder: &Path, amqp: &str) -> Result<()> {
    let token = folder.join("token");
    fs::write(&token, "a.token\n")?;
    let made = Command::new("sh")
        .arg(deploy().join("setup.sh"))
        .arg(folder)
        .env("AMQP_ADDRESS", amqp)
        .env("DISCORD_TOKEN_FILE", &token)
        .output()?;
    let said = String::from_utf8_lossy(&made.stderr);
    ensure!(made.status.success(), "setup.sh: {said}");
    Ok(())
}
