//! One connection, from TLS to its end.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use boot::CancellationToken;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    rt::Executor,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Notify,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use crate::socket::reap;

/// How long a connection may be idle, or take for the head of a request or for reading an answer; up to twice as long, as it
/// is looked at so often.
const IDLE: Duration = Duration::from_secs(60);
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection without a request is kept at the end.
const LINGER: Duration = Duration::from_secs(1);
/// How often a caller over HTTP/2 has to show that it is there.
const ALIVE: Duration = Duration::from_secs(20);
/// The largest head of a request, in bytes; no URL of Discord's comes near it.
const HEAD: usize = 16 << 10;
/// The most headers of a request.
const HEADERS: usize = 64;
/// The most requests of one connection at a time.
const STREAMS: u32 = 200;

/// What answers requests; all connections share it.
pub trait Answer: Send + Sync + 'static {
    /// Answers a request that came from this address.
    fn answer(
        &self,
        request: Request<Incoming>,
        caller: SocketAddr,
    ) -> impl Future<Output = Response<Full<Bytes>>> + Send;
}

/// What all requests of a connection have in common.
struct Seat<A> {
    answer: Arc<A>,
    caller: SocketAddr,
    /// How many there were.
    asked: AtomicUsize,
    /// How many of them are answered.
    answered: AtomicUsize,
    first: Notify,
}

impl<A: Answer> Seat<A> {
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        if self.asked.fetch_add(1, Ordering::Relaxed) == 0 {
            self.first.notify_one();
        }
        // A request that its caller gave up is as good as answered.
        let _answered = Answered(&self.answered);
        Ok(self.answer.answer(request, self.caller).await)
    }

    fn is_busy(&self) -> bool {
        self.asked.load(Ordering::Relaxed) != self.answered.load(Ordering::Relaxed)
    }

    /// Returns when there was a request, or none for as long as is waited for one at the end.
    async fn begun(&self) {
        if self.asked.load(Ordering::Relaxed) == 0 {
            // Too late is as good as begun.
            timeout(LINGER, self.first.notified()).await.ok();
        }
    }

    /// Returns when there was no request for long enough.
    async fn idle(&self) {
        loop {
            let asked = self.asked.load(Ordering::Relaxed);
            sleep(IDLE).await;
            if !self.is_busy() && self.asked.load(Ordering::Relaxed) == asked {
                return;
            }
        }
    }
}

/// Counts when it is dropped.
struct Answered<'a>(&'a AtomicUsize);

impl Drop for Answered<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Answers the requests of a connection until one of both ends it.
pub(crate) async fn serve<A: Answer>(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    answer: Arc<A>,
    caller: SocketAddr,
    shutdown: CancellationToken,
) {
    // Answers are small, and waiting for more to send only makes them late. Without it they still come.
    stream.set_nodelay(true).ok();
    let seat = Arc::new(Seat {
        answer,
        caller,
        asked: AtomicUsize::new(0),
        answered: AtomicUsize::new(0),
        first: Notify::new(),
    });
    let Some(acceptor) = acceptor else {
        return http1(stream, seat, &shutdown).await;
    };
    let handshake = timeout(HANDSHAKE, acceptor.accept(stream));
    match shutdown.run_until_cancelled(handshake).await {
        Some(Ok(Ok(stream))) => match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => http2(stream, seat, &shutdown).await,
            _ => http1(stream, seat, &shutdown).await,
        },
        Some(Ok(Err(error))) => {
            tracing::debug!(%error, "a caller over HTTP has not come through TLS");
        }
        Some(Err(_)) | None => {}
    }
}

async fn http1<A: Answer, S>(stream: S, seat: Arc<Seat<A>>, shutdown: &CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = {
        let seat = Arc::clone(&seat);
        service_fn(move |request| Arc::clone(&seat).answer(request))
    };
    let connection = http1::Builder::new()
        // `Seat::idle` ends who takes too long: for that a timer for each request is too dear.
        .header_read_timeout(None)
        .max_header_size(HEAD)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    drive(connection, |it| it.graceful_shutdown(), &seat, shutdown).await;
}

async fn http2<A: Answer, S>(stream: S, seat: Arc<Seat<A>>, shutdown: &CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = {
        let seat = Arc::clone(&seat);
        service_fn(move |request| Arc::clone(&seat).answer(request))
    };
    let connection = http2::Builder::new(Streams::default())
        .timer(TokioTimer::new())
        .keep_alive_interval(ALIVE)
        .keep_alive_timeout(ALIVE)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(HEAD).unwrap_or(u32::MAX))
        .serve_connection(TokioIo::new(stream), service);
    drive(connection, |it| it.graceful_shutdown(), &seat, shutdown).await;
}

/// Speaks HTTP until the caller ends it, or the shutdown does, or nothing was asked for too long.
async fn drive<A: Answer, C>(
    connection: C,
    end: impl Fn(Pin<&mut C>),
    seat: &Seat<A>,
    shutdown: &CancellationToken,
) where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let over = shutdown.run_until_cancelled(seat.idle());
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        _ = over => loop {
            // Whoever has come in the last moment has asked something, which is not read yet.
            tokio::select! {
                biased;
                ended = connection.as_mut() => break ended,
                () = seat.begun() => {}
            }
            // Who asks nothing, or does not read its answer, is not waited for.
            end(connection.as_mut());
            match timeout(LINGER, connection.as_mut()).await {
                Ok(ended) => break ended,
                Err(_) if seat.is_busy() => {}
                Err(_) => return,
            }
        },
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection over HTTP broke");
    }
}

/// The tasks of a connection over HTTP/2, one for each request; they end with it.
#[derive(Clone, Default)]
struct Streams(Arc<Mutex<JoinSet<()>>>);

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(ended) = streams.try_join_next() {
            reap(ended);
        }
        streams.spawn(stream);
    }
}
