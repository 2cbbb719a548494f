//! Servers that belong to one test run: private, on free ports, and gone with it.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    ops::Range,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::time::Instant;

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often we look whether it has.
const LOOK: Duration = Duration::from_millis(20);

/// Kills what the files in `$1/pids` name and removes `$1`, as soon as nobody holds its stdin.
const GUARDIAN: &str = r#"
trap '' HUP INT TERM
cat >/dev/null
for file in "$1"/pids/*; do
    [ ! -e "$file" ] || kill -9 "$(cat "$file")" 2>/dev/null
done
rm -rf "$1"
"#;

/// A folder of its own, whose processes and files do not outlive the test run.
///
/// A guardian process holds the other end of a pipe: however this process ends, even by SIGKILL,
/// the pipe closes and the guardian tidies up.
#[derive(Debug)]
pub struct Den {
    path: PathBuf,
    guardian: Child,
}

impl Den {
    /// A new folder below `target/tmp`.
    pub fn new(name: &str) -> Result<Self> {
        let target = Path::new(env!("CARGO_MANIFEST_DIR"))
            .with_file_name("target")
            .join("tmp");
        fs::create_dir_all(&target)?;
        let path = tempfile::Builder::new()
            .prefix(name)
            .tempdir_in(target)?
            .keep();
        fs::create_dir(path.join("pids"))?;
        let guardian = Command::new("sh")
            .args(["-c", GUARDIAN, "guardian"])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .context("cannot start sh")?;
        Ok(Self { path, guardian })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets the guardian kill this process in the end.
    pub fn watch(&self, name: &str, pid: u32) -> Result<()> {
        Ok(fs::write(self.pid_file(name), format!("{pid}\n"))?)
    }

    /// The process has ended: its number may come to belong to another one.
    pub fn forget(&self, name: &str) -> Result<()> {
        match fs::remove_file(self.pid_file(name)) {
            // Some servers tidy up themselves.
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Where the number of a watched process stands.
    pub fn pid_file(&self, name: &str) -> PathBuf {
        self.path.join("pids").join(name)
    }
}

impl Drop for Den {
    fn drop(&mut self) {
        drop(self.guardian.stdin.take());
        if let Err(error) = self.guardian.wait() {
            tracing::warn!(%error, "the guardian of a test server is lost");
        }
    }
}

/// Runs `kill -<signal> <pid>`.
pub fn signal(name: &str, pid: u32) -> Result<()> {
    let status = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .status()?;
    ensure!(status.success(), "cannot send {name} to process {pid}");
    Ok(())
}

/// Waits until the process has ended.
pub fn ended(child: &mut Child) -> Result<ExitStatus> {
    wait_for("the end of a server", || child.try_wait())
}

/// Looks again and again until there is something.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> io::Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("waited {PATIENCE:?} in vain for {what}");
        }
        thread::sleep(LOOK);
    }
}

/// Where ports are looked for: below those that the system gives to whoever asks for any, as somebody could get one of them
/// before the server that it is for.
const PORTS: Range<u16> = 10_000..32_000;

/// Ports of this machine that are free at the moment, all different.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut listeners = Vec::with_capacity(N);
    for _ in 0..10_000 {
        if listeners.len() == N {
            break;
        }
        listeners.extend(TcpListener::bind((
            Ipv4Addr::LOCALHOST,
            fastrand::u16(PORTS),
        )));
    }
    let ports = listeners.iter().map(|it| Ok(it.local_addr()?.port()));
    let ports: Vec<u16> = ports.collect::<io::Result<_>>()?;
    let ports = ports.try_into();
    ports.map_err(|found| anyhow::anyhow!("of {N} free ports only {found:?} were found"))
}

/// Whether something on this port answers `question` at once.
pub fn answers(port: u16, question: &[u8]) -> bool {
    ask(port, question).is_ok_and(|answer| !answer.is_empty())
}

/// What something on this port answers, up to a line.
pub fn ask(port: u16, question: &[u8]) -> io::Result<Vec<u8>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(question)?;
    let mut answer = vec![0; 128];
    let length = stream.read(&mut answer)?;
    answer.truncate(length);
    Ok(answer)
}
