//! The whole life of a service, as a process of its own.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStderr, Command, Output, Stdio},
};

mod outlets;

const TOKEN: &str = "MTA5.secret-token.value";

fn probe(mode: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_boot-probe"));
    command
        .env_clear()
        .env("ADMIN_ADDRESS", "127.0.0.1:0")
        .env("PROBE_TOKEN", TOKEN)
        .env("PROBE_MODE", mode)
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn output(mut command: Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the probe starts");
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8(text).expect("UTF-8"));
    assert!(!stdout.contains("secret"), "{stdout}");
    assert!(!stderr.contains("secret-token"), "{stderr}");
    (status.code(), stdout, stderr)
}

/// A running probe; killed when a test fails before it has ended.
struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
    log: String,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the probe starts");
        let stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let mut running = Self {
            child,
            stderr,
            log: String::new(),
        };
        running.wait_for("the probe runs");
        running
    }

    fn wait_for(&mut self, text: &str) {
        while !self.log.contains(text) {
            let read = self.stderr.read_line(&mut self.log);
            let read = read.expect("stderr is read");
            assert!(read > 0, "{text} is not in the log:\n{}", self.log);
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(status.expect("kill starts").success());
    }

    fn end(mut self) -> (Option<i32>, String) {
        let read = self.stderr.read_to_string(&mut self.log);
        read.expect("stderr is read");
        let status = self.child.wait().expect("the probe ends");
        let log = std::mem::take(&mut self.log);
        assert!(!log.contains("secret-token"), "{log}");
        (status.code(), log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It fails when the process has ended, as it should have.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn check_says_valid() {
    let mut command = probe("serve");
    command.arg("--check");
    let (status, stdout, stderr) = output(command);
    assert_eq!(
        (status, stdout.as_str()),
        (Some(0), "configuration is valid\n")
    );
    assert_eq!(stderr, "");
}

#[test]
fn mistakes_end_with_64() {
    let mut command = probe("");
    command
        .arg("--check")
        .env("LOG_FORMAT", "xml")
        .env("PROBE_TOKEN_FILE", "/nonexistent")
        .env("SHUTDOWN_GRACE", "20");
    let (status, stdout, stderr) = output(command);
    assert_eq!((status, stdout.as_str()), (Some(64), ""));
    let lines: Vec<_> = stderr.lines().collect();
    assert_eq!(lines.len(), 5, "{stderr}");
    let starts = [
        "probe: the configuration is not valid:",
        "LOG_FORMAT (environment): \"xml\" is not text or json",
        "SHUTDOWN_GRACE (environment): \"20\" is not a duration",
        "PROBE_MODE (not set): is required",
        "PROBE_TOKEN (environment): is set as well as PROBE_TOKEN_FILE",
    ];
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{stderr}");
    }
}

#[test]
fn the_named_file_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("probe.toml");
    std::fs::write(&path, "probe_mode = \"finish\"\nprobe_mood = 1\n").unwrap();
    let mut command = probe("");
    command.arg("--config").arg(&path);
    let (status, _, stderr) = output(command);
    assert_eq!(status, Some(64));
    let path = path.to_str().unwrap();
    let line = format!("probe_mood ({path} line 2): is not a known key; did you mean probe_mode?");
    assert!(stderr.contains(&line), "{stderr}");
}

#[test]
fn an_absent_file_is_a_mistake() {
    let mut command = probe("");
    command.args(["--config", "absent.toml"]);
    let (status, _, stderr) = output(command);
    assert_eq!(status, Some(64));
    assert!(stderr.contains("absent.toml (configuration file): cannot be read"));
    assert!(!stderr.contains("PROBE_MODE"), "{stderr}");
}

#[test]
fn the_usual_file_is_read_if_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("gateway.toml"),
        "probe_mode = \"finish\"",
    )
    .unwrap();
    let mut command = probe("");
    command.current_dir(folder.path());
    let (status, _, stderr) = output(command);
    assert_eq!(status, Some(0), "{stderr}");
}

#[test]
fn a_failure_is_printed_once() {
    for format in ["text", "json"] {
        let mut command = probe("fail");
        command.env("LOG_FORMAT", format);
        let (status, _, stderr) = output(command);
        assert_eq!(status, Some(1));
        assert_eq!(
            stderr.matches("probe failed: [secret] was refused").count(),
            1,
            "{stderr}"
        );
    }
    let mut command = probe("fail");
    command.env("LOG", "off");
    let (status, _, stderr) = output(command);
    assert_eq!(status, Some(1));
    assert_eq!(stderr, "probe failed: [secret] was refused\n");
}

#[test]
fn a_panic_of_a_task_ends_the_service() {
    let (status, _, stderr) = output(probe("panic"));
    assert_eq!(status, Some(1));
    assert!(
        stderr.contains("helper panicked: the helper fell over"),
        "{stderr}"
    );
    assert!(
        stderr.contains("probe.rs:"),
        "the place is in the log: {stderr}"
    );
}

#[test]
fn a_service_that_returns_ends_well() {
    let (status, stdout, _) = output(probe("finish"));
    assert_eq!((status, stdout.as_str()), (Some(0), ""));
}

#[test]
fn signals_end_it_well() {
    for name in ["TERM", "INT"] {
        let running = Running::start(probe("serve"));
        running.signal(name);
        let (status, log) = running.end();
        assert_eq!(status, Some(0), "{log}");
        assert!(log.contains(&format!("SIG{name}")), "{log}");
    }
}

#[test]
fn what_does_not_stop_is_aborted() {
    let mut command = probe("ignore");
    command.env("SHUTDOWN_GRACE", "50ms");
    let running = Running::start(command);
    running.signal("TERM");
    let (status, log) = running.end();
    assert_eq!(status, Some(1), "{log}");
    assert!(
        log.contains("not everything had stopped after 50ms, aborted: deaf"),
        "{log}"
    );
}

#[test]
fn a_second_signal_ends_at_once() {
    for mode in ["ignore", "block"] {
        let mut command = probe(mode);
        command.env("SHUTDOWN_GRACE", "1h");
        let mut running = Running::start(command);
        running.signal("TERM");
        running.wait_for("stopping");
        running.signal("INT");
        let (status, log) = running.end();
        assert_eq!(status, Some(1), "{log}");
        assert!(
            log.contains("ended at once by a second signal (SIGINT)"),
            "{log}"
        );
    }
}

#[test]
fn an_address_in_use_is_explained() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = probe("serve");
    command.env("ADMIN_ADDRESS", &address);
    let (status, _, stderr) = output(command);
    assert_eq!(status, Some(1));
    assert!(
        stderr.contains(&format!("cannot listen on {address}")),
        "{stderr}"
    );
    assert!(stderr.contains("ADMIN_ADDRESS"), "{stderr}");
}

#[test]
fn a_probe_asks_the_service_that_runs() {
    let running = Running::start(probe("serve"));
    let (_, address) = running.log.split_once("admin=").expect("the address");
    let address = address
        .split_whitespace()
        .next()
        .expect("the address")
        .to_owned();
    let ask = |flag: &str| {
        let mut command = probe("");
        // It needs nothing of the configuration but the address.
        command
            .arg(flag)
            .env("ADMIN_ADDRESS", &address)
            .env_remove("PROBE_TOKEN");
        output(command)
    };
    let (status, stdout, stderr) = ask("--health");
    assert_eq!((status, stderr.as_str()), (Some(0), ""), "{stdout}");
    let (status, stdout, _) = ask("--ready");
    assert_eq!(status, Some(0));
    assert!(stdout.contains("\"ready\":true"), "{stdout}");
    running.signal("TERM");
    running.end();
    let (status, stdout, stderr) = ask("--health");
    assert_eq!((status, stdout.as_str()), (Some(1), ""));
    assert!(
        stderr.starts_with(&format!("nothing answers at {address}: ")),
        "{stderr}"
    );
}

#[test]
fn json_lines_are_json() {
    let mut command = probe("finish");
    command.env("LOG_FORMAT", "json");
    let (_, _, stderr) = output(command);
    assert!(!stderr.is_empty());
    for line in stderr.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["message"].is_string() && line["level"].is_string());
    }
}
