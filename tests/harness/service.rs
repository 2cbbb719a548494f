//! A service as its operator runs it: a process with an environment, a log and signals.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Read, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::time::{self, Instant};

use crate::server::{ended, signal};

/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often we look.
const LOOK: Duration = Duration::from_millis(10);

/// Where cargo puts programs of the profile that this one was built with.
pub fn programs() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().context("a program lies in a folder")?;
    // Tests lie one folder deeper.
    let deps = folder.parent().filter(|_| folder.ends_with("deps"));
    Ok(deps.unwrap_or(folder).to_owned())
}

/// The program `gateway-ws`.
pub fn gateway_ws() -> Result<&'static Path> {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let folder = services()?;
    Ok(PROGRAM.get_or_init(|| folder.join("gateway-ws")))
}

/// The program `gateway-api`.
pub fn gateway_api() -> Result<&'static Path> {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let folder = services()?;
    Ok(PROGRAM.get_or_init(|| folder.join("gateway-api")))
}

/// The program `gateway-voice`.
pub fn gateway_voice() -> Result<&'static Path> {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let folder = services()?;
    Ok(PROGRAM.get_or_init(|| folder.join("gateway-voice")))
}

/// The program `gateway-webhook`.
pub fn gateway_webhook() -> Result<&'static Path> {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let folder = services()?;
    Ok(PROGRAM.get_or_init(|| folder.join("gateway-webhook")))
}

/// The program `gateway-http`.
pub fn gateway_http() -> Result<&'static Path> {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let folder = services()?;
    Ok(PROGRAM.get_or_init(|| folder.join("gateway-http")))
}

/// Where the services are. Cargo builds them for the tests of their own packages, with the same
/// dependencies as for these: so all tests are built, which there is nothing to do for when all run.
pub fn services() -> Result<&'static Path> {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let build = || -> Result<PathBuf> {
        let folder = programs()?;
        let mut command = Command::new(env!("CARGO"));
        command.args(["test", "--no-run", "--quiet", "--locked"]);
        if folder.ends_with("release") {
            command.arg("--release");
        }
        command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
        // What cargo says of this package is no news to the build scripts of others, which would run again.
        let said = std::env::vars_os().map(|(name, _)| name);
        for name in said.filter(|name| is_of_package(name)) {
            command.env_remove(name);
        }
        ensure!(command.status()?.success(), "the services cannot be built");
        Ok(folder)
    };
    let folder = FOLDER.get_or_init(|| build().map_err(|error| error.to_string()));
    folder
        .as_deref()
        .map_err(|error| anyhow::anyhow!("{error}"))
}

/// Whether cargo has set the variable to tell a test which package it is of.
fn is_of_package(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

/// A running process; it is killed when this is dropped.
#[derive(Debug)]
pub struct Service {
    child: Child,
    output: Lines,
    log: Lines,
    readers: Vec<JoinHandle<()>>,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it wrote to stdout.
    pub output: Vec<String>,
    /// What it wrote to stderr.
    pub log: String,
}

/// Lines that a thread collects.
#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn read(&self, source: impl Read + Send + 'static) -> JoinHandle<()> {
        let lines = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(source).lines().map_while(Result::ok) {
                lines
                    .0
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line);
            }
        })
    }

    fn all(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Service {
    /// Starts a program with these variables and arguments, and nothing else in its environment.
    pub fn start(program: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let (output, log) = (Lines::default(), Lines::default());
        let stdout = child.stdout.take().context("stdout is a pipe")?;
        let stderr = child.stderr.take().context("stderr is a pipe")?;
        let readers = vec![output.read(stdout), log.read(stderr)];
        Ok(Self {
            child,
            output,
            log,
            readers,
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to its stdin.
    pub fn tell(&mut self, line: &str) -> Result<()> {
        let stdin = self.child.stdin.as_mut().context("stdin is a pipe")?;
        writeln!(stdin, "{line}")?;
        Ok(stdin.flush()?)
    }

    /// How many lines it has written to stdout.
    pub fn written(&self) -> usize {
        self.output.len()
    }

    /// The JSON objects that it has written to stdout, one per line.
    pub fn messages(&self) -> Result<Vec<Value>> {
        let lines = self.output.all();
        lines
            .iter()
            .map(|line| serde_json::from_str(line).with_context(|| line.clone()))
            .collect()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.log.all().join("\n")
    }

    /// The base URL of its `/healthz`, `/readyz` and `/metrics`.
    pub async fn admin(&self) -> Result<String> {
        self.logged("admin=").await
    }

    /// The base URL of its HTTP listener.
    pub async fn http(&self) -> Result<String> {
        self.logged("http=").await
    }

    /// The URL of the address behind this word of its log.
    async fn logged(&self, word: &str) -> Result<String> {
        let address = || {
            let lines = self.log.all();
            let mut behind = lines.iter().filter_map(|line| line.split_once(word));
            let address = behind.next()?.1.split_whitespace().next()?;
            Some(format!("http://{address}"))
        };
        self.until(word, || Ok(address().is_some())).await?;
        address().context("it was there")
    }

    /// Bytes of memory that it has resident.
    pub fn resident(&self) -> Result<u64> {
        self.memory("VmRSS:")
    }

    /// The most bytes of memory that it ever had resident.
    pub fn peak(&self) -> Result<u64> {
        self.memory("VmHWM:")
    }

    fn memory(&self, key: &str) -> Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(kilobytes.context("it is there")?.parse::<u64>()? * 1024)
    }

    /// How it ended, if it has.
    pub fn status(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits until the condition holds; gives up when the process has ended, or it takes too long.
    pub async fn until(&self, what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if holds()? {
                return Ok(());
            }
            if self.readers.iter().all(JoinHandle::is_finished) {
                bail!("the service ended before {what}:\n{}", self.log());
            }
            if Instant::now() > deadline {
                bail!(
                    "waited {PATIENCE:?} in vain for {what}; the service logged:\n{}",
                    self.log()
                );
            }
            time::sleep(LOOK).await;
        }
    }

    /// Ends it by SIGTERM, and waits for that.
    pub fn terminate(mut self) -> Result<Ended> {
        signal("TERM", self.id())?;
        self.wait()
    }

    /// Ends it by SIGKILL.
    pub fn kill(mut self) -> Result<Ended> {
        self.child.kill()?;
        self.wait()
    }

    /// Waits until it ends by itself.
    pub fn finish(mut self) -> Result<Ended> {
        self.wait()
    }

    fn wait(&mut self) -> Result<Ended> {
        let status = ended(&mut self.child)?;
        for reader in self.readers.drain(..) {
            ensure!(
                reader.join().is_ok(),
                "a reader of the service's output panicked"
            );
        }
        Ok(Ended {
            status,
            output: self.output.all(),
            log: self.log(),
        })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait()
            && let Err(error) = self.child.kill().and_then(|()| self.child.wait().map(drop))
        {
            tracing::warn!(%error, "a service cannot be killed");
        }
    }
}
