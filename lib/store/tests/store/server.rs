//! A Redis server of a test's own.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::Duration,
};

use tempfile::TempDir;

/// Starts a server, tells its process id, and kills it as soon as stdin is closed: however the
/// test ends, the server does too.
const GUARDIAN: &str = r#"
trap '' HUP INT TERM
redis-server "$@" >/dev/null 2>&1 </dev/null &
echo $!
cat >/dev/null
kill -9 $!
wait
"#;

/// How often we look whether a server has started.
const LOOK: Duration = Duration::from_millis(20);

/// A private server with its data in a folder of its own.
pub(crate) struct Server {
    pub(crate) port: u16,
    folder: TempDir,
    arguments: Vec<String>,
    guardian: Option<Child>,
    pid: String,
}

impl Server {
    /// Starts a server with these arguments besides the usual ones.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::start_in(folder, arguments)
    }

    /// Starts a server in a folder that is already there.
    pub(crate) fn start_in(folder: TempDir, arguments: &[&str]) -> Self {
        let mut server = Self {
            port: free_port(),
            folder,
            arguments: arguments.iter().map(|it| (*it).to_owned()).collect(),
            guardian: None,
            pid: String::new(),
        };
        server.restart();
        server
    }

    /// One server for all tests that leave it alone.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&[]))
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Starts it again: same port, same data.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let mut guardian = Command::new("sh")
            .args(["-c", GUARDIAN, "guardian", "--bind", "127.0.0.1"])
            .args(["--port", &self.port.to_string(), "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
            .arg(self.folder.path())
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh can be started");
        let mut pid = String::new();
        let stdout = guardian.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut pid).unwrap();
        self.pid = pid.trim().to_owned();
        self.guardian = Some(guardian);
        while !self.answers() {
            let alive = Path::new("/proc").join(&self.pid).exists();
            assert!(alive, "redis-server ended at once: is it installed?");
            thread::sleep(LOOK);
        }
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut guardian) = self.guardian.take() {
            drop(guardian.stdin.take());
            guardian.wait().unwrap();
        }
    }

    /// Lets it hang: connections stay open and nothing answers.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    /// Runs commands by hand, one for each line, and returns all that comes back.
    pub(crate) fn cli(&self, commands: &str) -> String {
        let mut cli = Command::new("redis-cli")
            .args(["-p", &self.port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-cli is installed");
        let mut stdin = cli.stdin.take().unwrap();
        stdin.write_all(commands.as_bytes()).unwrap();
        drop(stdin);
        let output = cli.wait_with_output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.pid]).status();
        assert!(status.unwrap().success());
    }

    /// Whether it answers anything, also that it wants a password or TLS.
    fn answers(&self) -> bool {
        if self.arguments.iter().any(|it| it == "--tls-port") {
            return fs::read_to_string(self.folder.path().join("log"))
                .is_ok_and(|log| log.contains("Ready to accept connections"));
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        TcpStream::connect(address).is_ok_and(|mut stream| {
            let asked = stream.write_all(b"PING\r\n");
            let mut answer = [0; 5];
            asked.is_ok()
                && stream.read_exact(&mut answer).is_ok()
                && (&answer == b"+PONG" || &answer == b"-NOAU")
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
