//! A server that misbehaves as a test wants it to.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Duration, timeout},
};

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// How many were before it.
    pub(crate) number: usize,
    pub(crate) path: String,
    /// The first byte that was wanted.
    pub(crate) from: usize,
    pub(crate) if_range: Option<String>,
}

/// What is answered.
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) then: Then,
}

/// What comes after the body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Then {
    Close,
    /// Nothing, as long as whoever asks waits.
    Hang,
    /// The body again and again.
    Repeat,
}

/// The server.
pub(crate) struct Site {
    pub(crate) base: String,
    seen: Arc<Seen>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    asked: Mutex<Vec<Asked>>,
    /// Bytes that were taken off its hands.
    sent: AtomicU64,
    /// Whether nobody takes any more.
    stuck: AtomicBool,
    /// Connections that whoever asked has closed.
    closed: AtomicU64,
}

impl Site {
    pub(crate) async fn new(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::<Seen>::default();
        let mut tasks = JoinSet::new();
        let (answer, theirs) = (Arc::new(answer), Arc::clone(&seen));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&theirs));
                connections.spawn(async move { serve(stream, &*answer, &seen).await });
            }
        });
        let _tasks = tasks;
        Self { base, seen, _tasks }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.seen.asked.lock().unwrap().clone()
    }

    pub(crate) fn sent(&self) -> u64 {
        self.seen.sent.load(Ordering::SeqCst)
    }

    pub(crate) fn is_stuck(&self) -> bool {
        self.seen.stuck.load(Ordering::SeqCst)
    }

    pub(crate) fn closed(&self) -> u64 {
        self.seen.closed.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, answer: &(impl Fn(&Asked) -> Answer + ?Sized), seen: &Seen) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        let line = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
        line.map(|(_, value)| value.to_owned())
    };
    let from = header("range").map(|range| {
        let range = range.strip_prefix("bytes=").unwrap();
        range.trim_end_matches('-').parse().unwrap()
    });
    let path = head.split(' ').nth(1).unwrap().trim_start_matches('/');
    let asked = {
        let mut all = seen.asked.lock().unwrap();
        let asked = Asked {
            number: all.len(),
            path: path.to_owned(),
            from: from.unwrap_or_default(),
            if_range: header("if-range"),
        };
        all.push(asked.clone());
        asked
    };
    let answer = answer(&asked);
    if !answer.head.is_empty() {
        let head = format!("HTTP/1.1 {}\r\nconnection: close\r\n\r\n", answer.head);
        if stream.write_all(head.as_bytes()).await.is_err() {
            return;
        }
    }
    loop {
        if !send(&mut stream, &answer.body, seen).await || answer.then == Then::Close {
            return;
        }
        if answer.then == Then::Hang {
            // Until the other side closes.
            stream.read_u8().await.ok();
            seen.closed.fetch_add(1, Ordering::SeqCst);
            return;
        }
    }
}

/// Whether somebody takes it.
async fn send(stream: &mut TcpStream, body: &[u8], seen: &Seen) -> bool {
    for piece in body.chunks(4096) {
        let mut writing = Box::pin(stream.write_all(piece));
        let written = match timeout(Duration::from_secs(1), &mut writing).await {
            Ok(written) => written,
            Err(_) => {
                seen.stuck.store(true, Ordering::SeqCst);
                writing.await
            }
        };
        if written.is_err() {
            seen.closed.fetch_add(1, Ordering::SeqCst);
            return false;
        }
        seen.sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
    }
    true
}

/// The part of a file that was asked for, of which so many bytes come before the connection is closed.
pub(crate) fn part(file: &[u8], asked: &Asked, most: usize) -> Answer {
    let (from, length) = (asked.from, file.len());
    if from >= length {
        return plain("416 Range Not Satisfiable\r\ncontent-length: 0");
    }
    let (last, rest) = (length - 1, length - from);
    let head = format!(
        "206 Partial Content\r\netag: \"one\"\r\ncontent-type: audio/mpeg\r\ncontent-length: {rest}\r\n\
         content-range: bytes {from}-{last}/{length}"
    );
    Answer {
        head,
        body: file[from..].iter().copied().take(most).collect(),
        then: Then::Close,
    }
}

/// An answer without a body.
pub(crate) fn plain(head: &str) -> Answer {
    Answer {
        head: head.to_owned(),
        body: Vec::new(),
        then: Then::Close,
    }
}
