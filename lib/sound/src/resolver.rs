//! The operator's command that makes an address of what a track asks for, for example yt-dlp.
//!
//! It is run without a shell, with an empty environment but for where programs are, in a process group of its own
//! that is killed as soon as nobody waits for it, within a limit of time and of output.

use std::{process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
    time,
};

use crate::Error;

/// What stands for the query in the operator's command.
pub(crate) const QUERY: &str = "{query}";
/// The longest query, in bytes.
const LONGEST: usize = 1000;
/// What a command may say, in bytes.
const OUTPUT: u64 = 64 << 10;
/// The longest reason that is passed on, in bytes.
const REASON: usize = 300;
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What a query was resolved to.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Resolved {
    pub(crate) url: String,
    pub(crate) title: Option<String>,
}

/// Asks the operator's command.
pub(crate) async fn resolve(
    command: &[String],
    query: &str,
    limit: Duration,
) -> Result<Resolved, Error> {
    let [program, arguments @ ..] = command else {
        return Err(Error::ResolverOff);
    };
    let query = query.trim();
    if query.is_empty() || query.len() > LONGEST || query.contains(['\0', '\n', '\r']) {
        return Err(Error::Query(
            "it is empty, has more than 1000 bytes, or more than one line",
        ));
    }
    // As an argument of its own it would be an option.
    if query.starts_with('-') {
        return Err(Error::Query("it begins with a dash"));
    }
    let arguments = arguments.iter().map(|it| it.replace(QUERY, query));
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Error::Resolver(error.kind().to_string()))?;
    let group = Group::of(&child);
    let said = time::timeout(limit, listen(child)).await;
    drop(group);
    let said = said.unwrap_or(Err(Error::ResolverLate(limit)))?;
    read(&said)
}

/// A group of processes that is killed when it is not waited for any more.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

/// Waits until it has said everything.
async fn listen(mut child: Child) -> Result<String, Error> {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (out, err) = tokio::join!(text(out), text(err));
    let (out, err) = (out?, err?);
    let status = child.wait().await;
    let status = status.map_err(|error| Error::Resolver(error.kind().to_string()))?;
    match status.success() {
        true => Ok(out),
        false => Err(Error::Unresolved(reason(&err))),
    }
}

async fn text(pipe: Option<impl AsyncRead + Unpin>) -> Result<String, Error> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let mut pipe = pipe.take(OUTPUT + 1);
        let read = pipe.read_to_end(&mut bytes).await;
        read.map_err(|error| Error::Resolver(error.kind().to_string()))?;
    }
    match bytes.len() as u64 > OUTPUT {
        true => Err(Error::Resolver(format!("it says more than {OUTPUT} bytes"))),
        false => Ok(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// The last thing that it complained about.
fn reason(said: &str) -> String {
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    let last = last.unwrap_or("it does not say why");
    let end = last.floor_char_boundary(REASON);
    last.get(..end).unwrap_or_default().to_owned()
}

/// The last line is the address, and a line before it the title.
fn read(said: &str) -> Result<Resolved, Error> {
    let lines = said.lines().map(str::trim);
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let (url, before) = lines
        .split_last()
        .ok_or_else(|| Error::Unresolved("it found nothing".to_owned()))?;
    Ok(Resolved {
        url: (*url).to_owned(),
        title: before.first().map(|title| (*title).to_owned()),
    })
}

#[cfg(test)]
mod tests;
