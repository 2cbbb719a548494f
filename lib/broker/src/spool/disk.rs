//! The folder: numbered files to which messages are appended, and from which they are read back.
//!
//! This is plain blocking I/O, for a thread that may block. Only one process works in a folder.

use std::{
    collections::VecDeque,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::record::{self, Names, Record, Split};
use crate::{Message, queue::Item};

/// What every file begins with.
const MAGIC: &[u8] = b"DGSPOOL1";

/// A file takes no more messages when it has grown to this.
const FULL: u64 = 8 * 1024 * 1024;

/// How much is written to see whether there is room again.
const PROBE: usize = 1024 * 1024;

/// The files' extension, and that of those that cannot be read.
const SPOOL: &str = "spool";
const CORRUPT: &str = "corrupt";

/// A file. It stays as long as a message that was read from it is not confirmed.
#[derive(Debug)]
pub(crate) struct Segment {
    number: u64,
    /// Whether a former process wrote it.
    old: bool,
}

impl Segment {
    /// Whether a former process wrote it.
    pub(crate) fn is_old(&self) -> bool {
        self.old
    }
}

/// A message that was read back.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) message: Message,
    /// The number of its lane, and the sequences of its events there.
    pub(crate) lane: u64,
    pub(crate) sequence: u64,
    pub(crate) more: Vec<u64>,
    /// The file that it was read from.
    pub(crate) segment: Arc<Segment>,
}

/// What a read brought.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// The messages, oldest first.
    pub(crate) found: Vec<Found>,
    /// Events that this process wrote, and that cannot be read.
    pub(crate) lost: usize,
}

/// A file, and how far it was read.
#[derive(Debug)]
struct Stored {
    segment: Arc<Segment>,
    length: u64,
    read: u64,
    /// Events of this process that were not read back.
    events: usize,
}

/// The folder.
#[derive(Debug)]
pub(super) struct Disk {
    dir: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
    /// Oldest first.
    segments: VecDeque<Stored>,
    /// Appends to the last segment.
    writer: Option<File>,
    next: u64,
    names: Names,
}

impl Disk {
    /// Opens the folder, makes it if need be, and looks what a former process has left.
    pub(super) fn open(dir: PathBuf) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let lock = options.open(dir.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let reason =
                    "another process works in this folder; each needs its own WS_SPOOL_DIR";
                return Err(io::Error::new(ErrorKind::ResourceBusy, reason));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut disk = Self {
            dir,
            _lock: lock,
            segments: VecDeque::new(),
            writer: None,
            next: 1,
            names: Names::default(),
        };
        disk.scan()?;
        Ok(disk)
    }

    /// Finds the files of a former process.
    fn scan(&mut self) -> io::Result<()> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let number = path
                .file_stem()
                .and_then(|stem| stem.to_str()?.parse().ok());
            let Some(number) = number else { continue };
            // A number is never used twice, not even beside a file that was set aside.
            self.next = self.next.max(u64::saturating_add(number, 1));
            if path.extension().is_some_and(|extension| extension == SPOOL) {
                numbers.push(number);
            }
        }
        numbers.sort_unstable();
        for number in numbers {
            if let Err(error) = self.adopt(number) {
                self.set_aside(number, &error.to_string());
            }
        }
        if self.has_unread() {
            tracing::info!(
                dir = %self.dir.display(),
                bytes = self.bytes(),
                "the spool holds events of a former process: they are published first"
            );
        }
        Ok(())
    }

    /// Takes over a file of a former process.
    fn adopt(&mut self, number: u64) -> io::Result<()> {
        let path = self.path(number);
        let mut begin = Vec::new();
        let file = File::open(&path)?;
        let length = file.metadata()?.len();
        file.take(MAGIC.len() as u64).read_to_end(&mut begin)?;
        if begin == MAGIC {
            let read = MAGIC.len() as u64;
            let segment = Arc::new(Segment { number, old: true });
            self.segments.push_back(Stored {
                segment,
                length,
                read,
                events: 0,
            });
        } else if MAGIC.starts_with(&begin) {
            fs::remove_file(&path)?;
        } else {
            self.set_aside(number, "it does not begin as a spool's file does");
        }
        Ok(())
    }

    /// Appends messages; all of them or none.
    pub(super) fn append(&mut self, items: &[Item]) -> io::Result<()> {
        let mut buffer = Vec::new();
        for item in items {
            record::write(item, &mut buffer);
        }
        if self.writer.is_none() || self.segments.back().is_none_or(|last| last.length >= FULL) {
            self.begin()?;
        }
        let (Some(writer), Some(last)) = (&mut self.writer, self.segments.back_mut()) else {
            return Err(io::Error::other("there is no file to write to"));
        };
        if let Err(error) = writer.write_all(&buffer) {
            // What was written in part must not stay: the disk may be full of it.
            let cut = writer.set_len(last.length);
            if cut
                .and_then(|()| writer.seek(SeekFrom::Start(last.length)))
                .is_err()
            {
                self.writer = None;
            }
            return Err(error);
        }
        last.length += buffer.len() as u64;
        last.events += items.iter().map(Item::events).sum::<usize>();
        Ok(())
    }

    /// Writes about as much as a chunk has, and takes it away again.
    pub(super) fn probe(&self) -> io::Result<()> {
        let path = self.dir.join("probe");
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true).mode(0o600);
        let result = options
            .open(&path)
            .and_then(|mut file| file.write_all(&vec![0; PROBE]));
        fs::remove_file(&path).ok();
        result
    }

    /// Begins a new file.
    fn begin(&mut self) -> io::Result<()> {
        self.writer = None;
        let (number, length) = (self.next, MAGIC.len() as u64);
        let path = self.path(number);
        let mut options = OpenOptions::new();
        options.create_new(true).write(true).mode(0o600);
        let mut file = options.open(&path)?;
        self.next += 1;
        if let Err(error) = file.write_all(MAGIC) {
            // It would be taken for an empty one at the next start; here it is of no use.
            fs::remove_file(&path).ok();
            return Err(error);
        }
        let segment = Arc::new(Segment { number, old: false });
        self.segments.push_back(Stored {
            segment,
            length,
            read: length,
            events: 0,
        });
        self.writer = Some(file);
        Ok(())
    }

    /// Reads the oldest messages: about `budget` bytes, and at least one message.
    pub(super) fn read(&mut self, budget: usize) -> Reading {
        let unread = |stored: &&mut Stored| stored.read < stored.length;
        let Some(stored) = self.segments.iter_mut().find(unread) else {
            return Reading::default();
        };
        let path = path(&self.dir, stored.segment.number);
        let mut reading = Reading::default();
        let result = stored.read(&path, budget, &mut self.names, &mut reading.found);
        let number = stored.segment.number;
        if let Err(reason) = result {
            reading.lost = stored.events;
            self.segments
                .retain(|stored| stored.segment.number != number);
            self.set_aside(number, &reason);
        }
        if !self.has_unread() {
            // Nothing more goes to this file, so that it can be deleted.
            self.writer = None;
        }
        reading
    }

    /// Deletes the files whose messages are all confirmed; whether there were any.
    pub(super) fn clean(&mut self) -> bool {
        let before = self.segments.len();
        let (dir, writing) = (&self.dir, self.writer.is_some());
        let last = self.next.saturating_sub(1);
        self.segments.retain(|stored| {
            let number = stored.segment.number;
            let in_use = stored.read < stored.length
                || Arc::strong_count(&stored.segment) > 1
                || (writing && number == last);
            in_use || !is_deleted(&path(dir, number))
        });
        self.segments.len() < before
    }

    /// Whether there are messages that were not read back.
    pub(super) fn has_unread(&self) -> bool {
        self.segments
            .iter()
            .any(|stored| stored.read < stored.length)
    }

    /// The size of all files.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|stored| stored.length).sum()
    }

    /// Renames a file that cannot be read, for a person to look at.
    fn set_aside(&self, number: u64, reason: &str) {
        let from = self.path(number);
        let to = from.with_extension(CORRUPT);
        let renamed = fs::rename(&from, &to);
        tracing::error!(
            file = %from.display(),
            reason,
            renamed = renamed.is_ok(),
            "a file of the spool cannot be read: what follows in it is not published from here; \
             the file is set aside with the extension .corrupt"
        );
    }

    fn path(&self, number: u64) -> PathBuf {
        path(&self.dir, number)
    }
}

impl Stored {
    /// Reads on; the reason when the rest cannot be read.
    fn read(
        &mut self,
        path: &Path,
        budget: usize,
        names: &mut Names,
        found: &mut Vec<Found>,
    ) -> Result<(), String> {
        let mut wanted = budget.max(record::HEAD) as u64;
        while found.is_empty() && self.read < self.length {
            let bytes = self.load(path, wanted).map_err(|error| error.to_string())?;
            let mut rest = &bytes[..];
            loop {
                match record::split(rest) {
                    Split::Record(content, length) => {
                        let record = record::read(content, names)
                            .ok_or("a record's content cannot be understood")?;
                        found.push(self.found(record));
                        self.read += length as u64;
                        rest = &rest[length..];
                    }
                    Split::Short(needed) if needed as u64 > self.length - self.read => {
                        if self.read < self.length && !self.segment.old {
                            return Err("it is not as it was written".to_owned());
                        }
                        self.cut(path);
                        break;
                    }
                    Split::Short(needed) => {
                        wanted = needed as u64;
                        break;
                    }
                    Split::Corrupt(reason) => return Err(reason.to_owned()),
                }
            }
        }
        Ok(())
    }

    /// Some bytes from where reading stands.
    fn load(&self, path: &Path, wanted: u64) -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        let wanted = wanted.min(self.length - self.read);
        file.take(wanted).read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < wanted {
            let reason = "it is shorter than it was";
            return Err(io::Error::new(ErrorKind::UnexpectedEof, reason));
        }
        Ok(bytes)
    }

    fn found(&mut self, record: Record) -> Found {
        self.events = self.events.saturating_sub(1 + record.more.len());
        Found {
            message: record.message,
            lane: record.lane,
            sequence: record.sequence,
            more: record.more,
            segment: Arc::clone(&self.segment),
        }
    }

    /// The last record was not written to its end, as a crash does it.
    fn cut(&mut self, path: &Path) {
        if self.read < self.length {
            tracing::warn!(
                file = %path.display(),
                bytes = self.length - self.read,
                "the last event in a file of the spool was not written to its end: it is cut off"
            );
            self.length = self.read;
        }
    }
}

fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016}.{SPOOL}"))
}

fn is_deleted(path: &Path) -> bool {
    match fs::remove_file(path) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::NotFound => true,
        Err(error) => {
            tracing::warn!(file = %path.display(), %error, "a file of the spool cannot be deleted");
            false
        }
    }
}

#[cfg(test)]
mod tests;
