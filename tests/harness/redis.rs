//! A Redis server of one's own.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use crate::server::{Den, answers, ask, ended, free_ports, signal, wait_for};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The name of the process in the den.
const SERVER: &str = "server";

/// A private server; it is gone when this is dropped or the process ends.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    /// What it is started with beside the usual.
    more: Vec<String>,
    server: Option<Child>,
    den: Den,
}

impl Redis {
    /// Starts a server and waits until it answers.
    pub fn start() -> Result<Self> {
        Self::configured(Vec::new())
    }

    /// Starts a server with the users in this file.
    pub fn with_users(file: &Path) -> Result<Self> {
        Self::configured(vec!["--aclfile".to_owned(), file.display().to_string()])
    }

    /// Starts a server with further arguments.
    pub fn configured(more: Vec<String>) -> Result<Self> {
        let [port] = free_ports()?;
        let mut redis = Self {
            port,
            more,
            server: None,
            den: Den::new("redis-")?,
        };
        redis.restart()?;
        Ok(redis)
    }

    /// One server for all tests of this process that leave it alone.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Redis> = OnceLock::new();
        SHARED.get_or_init(|| Self::start().expect("Redis is installed and can be started"))
    }

    /// Where to connect.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts the server again after [`Redis::kill`] or [`Redis::stop`]: same port, same data.
    pub fn restart(&mut self) -> Result<()> {
        ensure!(self.server.is_none(), "the server runs already");
        let server = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args([
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
                "--save",
                "",
            ])
            .arg("--dir")
            .arg(self.den.path())
            .args(&self.more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start redis-server: is it installed?")?;
        self.den.watch(SERVER, server.id())?;
        self.server = Some(server);
        wait_for(
            "Redis",
            || Ok(answers(self.port, b"PING\r\n").then_some(())),
        )
    }

    /// Runs a command by hand that is answered by a number.
    pub fn number(&self, command: &str) -> Result<u64> {
        let answer = ask(self.port, format!("{command}\r\n").as_bytes())?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let number = answer.trim_end().strip_prefix(':');
        let number = number.with_context(|| format!("{command}: {answer}"))?;
        Ok(number.parse()?)
    }

    /// What is answered to these commands, each with a line end.
    pub fn say(&self, commands: &str) -> Result<String> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(commands.as_bytes())?;
        // It answers all of it, and then sees that nobody asks any more.
        stream.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// All that was ever written, as the server has logged it.
    pub fn journal(&self) -> Result<String> {
        let mut text = String::new();
        for file in fs::read_dir(self.den.path().join("appendonlydir"))? {
            text += &String::from_utf8_lossy(&fs::read(file?.path())?);
        }
        Ok(text)
    }

    /// Forgets everything, as a cache does whose operator has lost patience.
    pub fn flush(&self) -> Result<()> {
        ensure!(answers(self.port, b"FLUSHALL\r\n"), "Redis does not answer");
        Ok(())
    }

    /// Ends the server as a power cut would.
    pub fn kill(&mut self) -> Result<()> {
        self.end("KILL")
    }

    /// Ends the server in good order.
    pub fn stop(&mut self) -> Result<()> {
        self.end("TERM")
    }

    /// Lets the server hang: its connections stay open and nothing answers.
    pub fn pause(&self) -> Result<()> {
        signal("STOP", self.pid()?)
    }

    /// Lets a paused server go on.
    pub fn resume(&self) -> Result<()> {
        signal("CONT", self.pid()?)
    }

    fn end(&mut self, how: &str) -> Result<()> {
        signal(how, self.pid()?)?;
        if let Some(mut server) = self.server.take() {
            ended(&mut server)?;
        }
        self.den.forget(SERVER)
    }

    fn pid(&self) -> Result<u32> {
        Ok(self
            .server
            .as_ref()
            .context("the server does not run")?
            .id())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if self.server.is_some()
            && let Err(error) = self.kill()
        {
            tracing::warn!(%error, "a Redis server did not end well; its guardian will end it");
        }
    }
}
