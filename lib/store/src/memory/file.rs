//! What has to outlive the process in one JSON file, replaced as a whole: a crash leaves the old
//! one or the new one.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::Error as _};

use super::{ledger::Ledger, state::State};
use crate::{Error, Phase, Plan, Session};

/// The only format so far.
const FORMAT: u32 = 1;

/// The file's content.
#[derive(Debug, Deserialize, Serialize)]
struct Content {
    format: u32,
    /// By application id.
    applications: BTreeMap<u64, Kept>,
}

/// What is kept of an application.
#[derive(Debug, Deserialize, Serialize)]
struct Kept {
    born: u64,
    /// When it identified, in milliseconds since 1970.
    identifies: Vec<u64>,
    plan: Option<KeptPlan>,
    /// By shard, such as `3/16`.
    sessions: BTreeMap<String, Session>,
    /// By shard, too; only while the number of shards changes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tails: BTreeMap<String, KeptTail>,
}

/// The end of a shard's events.
#[derive(Debug, Deserialize, Serialize)]
struct KeptTail {
    /// When it is of no use any more, in milliseconds since 1970.
    until: u64,
    /// In hexadecimal digits.
    events: String,
}

#[derive(Debug, Deserialize, Serialize)]
struct KeptPlan {
    current: u32,
    next: Option<u32>,
    phase: Phase,
    revision: u64,
}

/// Reads the states of all applications: none when there is no file.
pub(super) fn read(path: &Path, now: u64) -> Result<BTreeMap<u64, State>, Error> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(source) => return Err(failed("read", path, source)),
    };
    parse(&text, now).map_err(|source| Error::FileContent {
        path: path.to_owned(),
        source,
    })
}

/// The file's text.
pub(super) fn text(states: &BTreeMap<u64, State>) -> Vec<u8> {
    let kept = |(id, state): (&u64, &State)| (*id, kept(state));
    let content = Content {
        format: FORMAT,
        applications: states.iter().map(kept).collect(),
    };
    serde_json::to_vec_pretty(&content).expect("maps of strings and numbers")
}

/// Writes the text beside the file, then puts it in its place.
pub(super) fn write(path: &Path, text: &[u8]) -> Result<(), Error> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let write = || -> io::Result<()> {
        let beside = PathBuf::from(beside);
        let mut options = fs::OpenOptions::new();
        options.create(true).truncate(true).write(true).mode(0o600);
        let mut file = options.open(&beside)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(|source| failed("write", path, source))
}

fn parse(text: &[u8], now: u64) -> Result<BTreeMap<u64, State>, serde_json::Error> {
    let content: Content = serde_json::from_slice(text)?;
    if content.format != FORMAT {
        return Err(serde_json::Error::custom(format!(
            "its format is {}, and this program knows {FORMAT}",
            content.format
        )));
    }
    let state = |(id, kept): (u64, Kept)| Ok((id, state(kept, now)?));
    content.applications.into_iter().map(state).collect()
}

fn state(kept: Kept, now: u64) -> Result<State, serde_json::Error> {
    let mut state = State::new(kept.born);
    state.ledger = Ledger::restored(kept.identifies, now);
    state.plan = kept.plan.map(|plan| Plan {
        current: plan.current,
        next: plan.next,
        phase: plan.phase,
        revision: plan.revision,
    });
    for (shard, session) in kept.sessions {
        let shard = shard.parse().map_err(serde_json::Error::custom)?;
        state.sessions.insert(shard, session);
    }
    for (shard, tail) in kept.tails {
        let shard = shard.parse().map_err(serde_json::Error::custom)?;
        let events = bytes(&tail.events).ok_or_else(|| {
            serde_json::Error::custom(format!("the tail of shard {shard} is not hexadecimal"))
        })?;
        state.tails.insert(shard, (events.into(), tail.until));
    }
    Ok(state)
}

fn kept(state: &State) -> Kept {
    let session =
        |(shard, session): (&crate::Shard, &Session)| (shard.to_string(), session.clone());
    let tail = |(shard, (events, until)): (&crate::Shard, &(Bytes, u64))| {
        let (until, events) = (*until, digits(events));
        (shard.to_string(), KeptTail { until, events })
    };
    Kept {
        born: state.born,
        identifies: state.ledger.identifies.clone(),
        plan: state.plan.as_ref().map(|plan| KeptPlan {
            current: plan.current,
            next: plan.next,
            phase: plan.phase,
            revision: plan.revision,
        }),
        sessions: state.sessions.iter().map(session).collect(),
        tails: state.tails.iter().map(tail).collect(),
    }
}

/// Two hexadecimal digits for each byte.
fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of hexadecimal digits, if that is what they are.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    rest.is_empty()
        .then(|| pairs.iter().map(byte).collect())
        .flatten()
}

fn failed(what: &'static str, path: &Path, source: io::Error) -> Error {
    Error::File {
        what,
        path: path.to_owned(),
        source,
    }
}
