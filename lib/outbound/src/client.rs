//! The HTTP client: sends one request to Discord, and says what is known of its fate.

use crate::{Answer, Error};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Uri,
    header::{self, AUTHORIZATION, HOST, USER_AGENT},
    uri::{Authority, Parts, PathAndQuery, Scheme},
};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use std::{
    convert::Infallible,
    error::Error as _,
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{self, Instant};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a connection without requests is kept: less than Discord keeps it, so that none is sent into its end.
const IDLE: Duration = Duration::from_secs(30);

/// The largest answer that is read; Discord's are some megabytes at most.
const LARGEST: usize = 32 << 20;

/// Headers of requests that concern a connection, or are ours to set.
const OURS: [HeaderName; 13] = [
    header::ACCEPT_ENCODING,
    AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::COOKIE,
    header::EXPECT,
    HOST,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    USER_AGENT,
];

/// The same, of those that have no constants.
const OF_THE_WAY: [&str; 4] = [
    "keep-alive",
    "proxy-connection",
    "traceparent",
    "tracestate",
];

/// Headers of answers that concern the connection to Discord alone.
const THEIRS: [&str; 15] = [
    "alt-svc",
    "connection",
    "content-length",
    "keep-alive",
    "nel",
    "proxy-authenticate",
    "proxy-connection",
    "report-to",
    "reporting-endpoints",
    "set-cookie",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A pool of connections to Discord.
pub(crate) struct Client {
    http: legacy::Client<HttpsConnector<HttpConnector>, Load>,
    scheme: Scheme,
    authority: Authority,
    /// The authority, as a header.
    host: HeaderValue,
    /// The path of the API's base, without a slash at its end.
    base: String,
    /// How long Discord may take.
    timeout: Duration,
}

/// A request that can be sent as often as it has to be.
#[derive(Clone)]
pub(crate) struct Parcel {
    pub(crate) method: http::Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The answer is larger than any of Discord's.
    TooLarge(usize),
    /// Nothing was sent.
    Unreachable(String),
    /// It may have been carried out.
    Unknown(String),
}

/// The body of a request; it knows whether a connection has taken the request.
struct Load {
    bytes: Full<Bytes>,
    is_taken: Arc<AtomicBool>,
}

impl Load {
    fn new(bytes: Bytes) -> Self {
        Self {
            bytes: Full::new(bytes),
            is_taken: Arc::default(),
        }
    }
}

impl Body for Load {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.bytes).poll_frame(context)
    }

    /// A connection asks for it before it writes the head.
    fn is_end_stream(&self) -> bool {
        self.is_taken.store(true, Ordering::Relaxed);
        self.bytes.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.bytes.size_hint()
    }
}

impl Client {
    /// A client of the API at this base.
    pub(crate) fn new(base: &str, timeout: Duration) -> Result<Self, Error> {
        let wrong = || Error::Address(base.to_owned());
        let parts = Uri::try_from(base).map_err(|_| wrong())?.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(wrong());
        };
        let host = match authority.port() {
            Some(port) => format!("{}:{port}", authority.host()),
            None => authority.host().to_owned(),
        };
        let path = parts.path_and_query;
        let path = path.as_ref().map_or("", PathAndQuery::path);
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let tls = HttpsConnectorBuilder::new()
            .try_with_platform_verifier()
            .map_err(|error| Error::Tls(error.to_string()))?
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .build(tls);
        Ok(Self {
            http,
            host: HeaderValue::try_from(host).map_err(|_| wrong())?,
            base: path.trim_end_matches('/').to_owned(),
            scheme,
            authority,
            timeout,
        })
    }

    /// The address of a path and a query; nothing when the query is none.
    pub(crate) fn uri(&self, path: &str, query: Option<&str>) -> Option<Uri> {
        let query = query.unwrap_or_default();
        let mut whole = String::with_capacity(self.base.len() + path.len() + 1 + query.len());
        whole.push_str(&self.base);
        whole.push_str(path);
        if !query.is_empty() {
            whole.push('?');
            whole.push_str(query);
        }
        let mut parts = Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(PathAndQuery::try_from(whole).ok()?);
        Uri::from_parts(parts).ok()
    }

    /// Sends it, and waits for all of the answer.
    pub(crate) async fn send(&self, parcel: &Parcel, until: Instant) -> Result<Answer, Lost> {
        let load = Load::new(parcel.body.clone());
        let is_taken = Arc::clone(&load.is_taken);
        let mut request = Request::new(load);
        *request.method_mut() = parcel.method.clone();
        *request.uri_mut() = parcel.uri.clone();
        *request.headers_mut() = parcel.headers.clone();
        request.headers_mut().insert(HOST, self.host.clone());
        let until = until.min(Instant::now() + self.timeout);
        match time::timeout_at(until, self.exchange(request)).await {
            Ok(answered) => answered,
            Err(_) if !is_taken.load(Ordering::Relaxed) => {
                Err(Lost::Unreachable("no connection in time".to_owned()))
            }
            Err(_) => Err(Lost::Unknown("no answer in time".to_owned())),
        }
    }

    async fn exchange(&self, request: Request<Load>) -> Result<Answer, Lost> {
        let response = self.http.request(request).await.map_err(|e| lost(&e))?;
        let (head, body) = response.into_parts();
        let body = read(body).await?;
        let mut headers = head.headers;
        leave_out(&mut headers, |name| THEIRS.contains(&name));
        Ok(Answer {
            status: head.status,
            headers,
            body,
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

/// Whether a header concerns the connection, or is set here.
pub fn is_ours(name: &HeaderName) -> bool {
    OURS.contains(name)
}

/// Takes headers out. Answers have few, and looking for each name of a list in them takes longer.
pub fn leave_out(headers: &mut HeaderMap, is_out: impl Fn(&str) -> bool) {
    let names = headers.keys().filter(|name| is_out(name.as_str()));
    let names: Vec<HeaderName> = names.cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// The headers that go to Discord.
pub(crate) fn headers(mut headers: HeaderMap, authorization: Option<HeaderValue>) -> HeaderMap {
    // What the header `Connection` names is for the connection that it came by.
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    leave_out(&mut headers, |name| {
        OURS.iter().chain(&named).any(|it| it == name) || OF_THE_WAY.contains(&name)
    });
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(discord::rest::USER_AGENT),
    );
    if let Some(authorization) = authorization {
        headers.insert(AUTHORIZATION, authorization);
    }
    headers
}

async fn read(body: Incoming) -> Result<Bytes, Lost> {
    match Limited::new(body, LARGEST).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Lost::TooLarge(LARGEST)),
        Err(error) => Err(Lost::Unknown(format!("the connection broke: {error}"))),
    }
}

fn lost(error: &legacy::Error) -> Lost {
    let reason = boot::chain(error);
    if error.is_connect() {
        return Lost::Unreachable(reason);
    }
    match error
        .source()
        .and_then(|it| it.downcast_ref::<hyper::Error>())
    {
        // It waited for a connection that was gone before its turn.
        Some(inner) if inner.is_canceled() => Lost::Unreachable(reason),
        _ => Lost::Unknown(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::{Client, Lost, Parcel};
    use bytes::Bytes;
    use http::HeaderMap;
    use std::{net::TcpListener, time::Duration};
    use tokio::time::Instant;

    #[tokio::test]
    async fn what_no_connection_has_taken_was_not_sent() {
        // It takes connections, and never says a word.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        for (scheme, is_sent) in [("http", true), ("https", false)] {
            let base = format!("{scheme}://{address}/api");
            let client = Client::new(&base, Duration::from_secs(60)).unwrap();
            let parcel = Parcel {
                method: http::Method::POST,
                uri: client.uri("/gateway", None).unwrap(),
                headers: HeaderMap::new(),
                body: Bytes::from_static(b"x"),
            };
            let soon = Instant::now() + Duration::from_millis(300);
            let lost = client.send(&parcel, soon).await.unwrap_err();
            assert_eq!(matches!(lost, Lost::Unknown(_)), is_sent, "{lost:?}");
            assert_eq!(matches!(lost, Lost::Unreachable(_)), !is_sent, "{lost:?}");
        }
    }
}
