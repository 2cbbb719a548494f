//! A RabbitMQ node of one's own.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use anyhow::{Context as _, Result, ensure};

use crate::server::{Den, answers, ended, free_ports, signal, wait_for};

/// What an AMQP client says first.
const HELLO: &[u8] = b"AMQP\x00\x00\x09\x01";

/// What a node prints once it has started.
const STARTED: &str = " completed with ";

/// The question for all names that epmd knows.
const NAMES: &[u8] = b"\x00\x01n";

/// The names of the two processes in the den.
const NODE: &str = "node";
const EPMD: &str = "epmd";

/// Small limits, and nothing that listens beside AMQP.
const CONFIG: &str = "\
loopback_users.guest = true
disk_free_limit.absolute = 50MB
vm_memory_high_watermark.absolute = 1GB
log.file.level = warning
";

/// A private node; it is gone when this is dropped or the process ends.
#[derive(Debug)]
pub struct Rabbit {
    ports: Ports,
    /// The script that waits for the node, while there is one.
    script: Option<Child>,
    /// The process that knows the names of nodes; those that have joined another node use that one's.
    epmd: Option<Child>,
    den: Den,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    amqp: u16,
    distribution: u16,
    epmd: u16,
}

impl Rabbit {
    /// Starts a node and waits until it takes connections: about five seconds.
    pub fn start() -> Result<Self> {
        Self::configured("")
    }

    /// Starts a node with these further lines in its `rabbitmq.conf`.
    pub fn configured(lines: &str) -> Result<Self> {
        Self::with_plugins(lines, &[])
    }

    /// The same with plugins.
    pub fn with_plugins(lines: &str, plugins: &[&str]) -> Result<Self> {
        let [amqp, distribution, epmd] = free_ports()?;
        let ports = Ports {
            amqp,
            distribution,
            epmd,
        };
        let mut rabbit = Self::prepared(ports, lines, plugins)?;
        rabbit.start_epmd()?;
        rabbit.restart()?;
        Ok(rabbit)
    }

    /// Starts a node and lets it join the cluster of this one. It must not outlive it.
    pub fn joined(&self) -> Result<Self> {
        let [amqp, distribution] = free_ports()?;
        let ports = Ports {
            amqp,
            distribution,
            ..self.ports
        };
        let mut rabbit = Self::prepared(ports, "", &[])?;
        rabbit.restart()?;
        rabbit.ctl(&["stop_app"])?;
        rabbit.ctl(&["join_cluster", &self.name()])?;
        rabbit.ctl(&["start_app"])?;
        Ok(rabbit)
    }

    /// A node that is not started yet, with its folder.
    fn prepared(ports: Ports, lines: &str, plugins: &[&str]) -> Result<Self> {
        let den = Den::new("rabbitmq-")?;
        let cookie = den.path().join(".erlang.cookie");
        // All nodes of a cluster have one, as they have one epmd.
        fs::write(&cookie, format!("COOKIE{}", ports.epmd))?;
        fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400))?;
        fs::write(
            den.path().join("rabbitmq.conf"),
            format!("{CONFIG}{lines}\n"),
        )?;
        let plugins = plugins.join(",");
        fs::write(den.path().join("plugins"), format!("[{plugins}].\n"))?;
        Ok(Self {
            ports,
            script: None,
            epmd: None,
            den,
        })
    }

    /// The node would start an epmd of its own, which would outlive it.
    fn start_epmd(&mut self) -> Result<()> {
        let port = self.ports.epmd;
        let epmd = Command::new("epmd")
            .args(["-address", "127.0.0.1", "-port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start epmd: is rabbitmq-server installed?")?;
        self.den.watch(EPMD, epmd.id())?;
        self.epmd = Some(epmd);
        wait_for("epmd", || Ok(answers(port, NAMES).then_some(())))
    }

    /// One node for all tests of this process that leave it alone.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Rabbit> = OnceLock::new();
        SHARED.get_or_init(|| Self::start().expect("RabbitMQ is installed and can be started"))
    }

    /// Where and how to connect, as the user `guest`.
    pub fn url(&self) -> String {
        self.url_as("guest", "guest")
    }

    /// Where and how to connect as this user.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        format!("amqp://{user}:{password}@127.0.0.1:{}/%2f", self.ports.amqp)
    }

    /// The port of the AMQP listener.
    pub fn port(&self) -> u16 {
        self.ports.amqp
    }

    /// The node's name in its cluster.
    fn name(&self) -> String {
        format!("test{}@localhost", self.ports.amqp)
    }

    /// Starts the node again after [`Rabbit::kill`] or [`Rabbit::stop`]: same port, same data.
    pub fn restart(&mut self) -> Result<()> {
        ensure!(self.script.is_none(), "the node runs already");
        let pid_file = self.pid_file();
        let path = self.den.path().join("output");
        let output = File::create(&path)?;
        let mut command = self.command("rabbitmq-server")?;
        let script = command.stderr(output.try_clone()?).stdout(output).spawn()?;
        let script = self.script.insert(script);
        let amqp = self.ports.amqp;
        let started = wait_for("RabbitMQ", || {
            if let Some(status) = script.try_wait()? {
                return Err(io::Error::other(format!("the node ended with {status}")));
            }
            // It answers some moments before: until it has started it may forget who asked a question, and drop the reply.
            let has_started = fs::read_to_string(&path)?.contains(STARTED);
            Ok((has_started && answers(amqp, HELLO) && pid_file.exists()).then_some(()))
        });
        started.with_context(|| fs::read_to_string(&path).unwrap_or_default())
    }

    /// Returns when what was declared so far outlives [`Rabbit::kill`]. RabbitMQ 3 says that a queue is bound
    /// before that is on its disk: of a node that is killed a moment later it may be forgotten.
    pub fn settle(&self) -> Result<()> {
        self.ctl(&["eval", "mnesia:dump_log()."])
    }

    /// Ends the node as a power cut would.
    pub fn kill(&mut self) -> Result<()> {
        self.end("KILL")
    }

    /// Ends the node in good order.
    pub fn stop(&mut self) -> Result<()> {
        self.end("TERM")
    }

    /// Lets the node hang: its connections stay open and nothing answers.
    pub fn pause(&self) -> Result<()> {
        signal("STOP", self.pid()?)
    }

    /// Lets a paused node go on.
    pub fn resume(&self) -> Result<()> {
        signal("CONT", self.pid()?)
    }

    /// Runs `rabbitmqctl` with these arguments.
    pub fn ctl(&self, arguments: &[&str]) -> Result<()> {
        let mut command = self.command("rabbitmqctl")?;
        let output = command
            .arg("-q")
            .args(arguments)
            .stderr(Stdio::piped())
            .output()?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "rabbitmqctl {arguments:?}: {complaint}"
        );
        Ok(())
    }

    fn end(&mut self, how: &str) -> Result<()> {
        signal(how, self.pid()?)?;
        if let Some(mut script) = self.script.take() {
            ended(&mut script)?;
        }
        self.den.forget(NODE)
    }

    fn pid(&self) -> Result<u32> {
        let text = fs::read_to_string(self.pid_file()).context("the node does not run")?;
        Ok(text.trim().parse()?)
    }

    fn pid_file(&self) -> PathBuf {
        self.den.pid_file(NODE)
    }

    fn command(&self, program: &str) -> Result<Command> {
        let (path, ports) = (self.den.path(), self.ports);
        // The programs in /usr/sbin change the user.
        let mut command = Command::new(find(program)?);
        command
            .env("HOME", path)
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", ports.epmd.to_string())
            .env("RABBITMQ_NODENAME", self.name())
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", ports.amqp.to_string())
            .env("RABBITMQ_DIST_PORT", ports.distribution.to_string())
            .env("RABBITMQ_MNESIA_BASE", path.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", path.join("log"))
            // Else Erlang would leave it in the folder that the tests run in.
            .env("ERL_CRASH_DUMP", path.join("erl_crash.dump"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", path.join("plugins"))
            .env("RABBITMQ_CONFIG_FILE", path.join("rabbitmq.conf"))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_PID_FILE", self.pid_file())
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1}",
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(command)
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        let mut end = || -> Result<()> {
            if self.script.is_some() {
                self.kill()?;
            }
            if let Some(mut epmd) = self.epmd.take() {
                epmd.kill()?;
                epmd.wait()?;
            }
            self.den.forget(EPMD)
        };
        if let Err(error) = end() {
            tracing::warn!(%error, "a RabbitMQ node did not end well; its guardian will end it");
        }
    }
}

/// The program itself, not the wrapper on the path.
fn find(program: &str) -> Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/rabbitmq/lib").context("RabbitMQ is not installed")?;
    for version in versions {
        let path = version?.path().join("sbin").join(program);
        if path.exists() {
            return Ok(path);
        }
    }
    Ok(Path::new(program).to_owned())
}
