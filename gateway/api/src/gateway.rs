//! The one door to Discord: whoever has a request hands it in here, and gets Discord's answer or the reason why not.

use crate::{
    Answer, Call, Config, Error, Failure, Token,
    client::{self, Client, Lost, Parcel},
    desk::{Desk, Left, Place},
    failure::Refused,
    metrics::{Metrics, OfApplication},
    operations::Names,
    repeat::{json, may_repeat},
};
use boot::{Backoff, Check, Context, ExposeSecret as _, SecretString, Span, Traces};
use discord::{
    limit::{self, Request, Settings, Verdict},
    route::{Method, Permit, Route},
};
use http::{HeaderValue, StatusCode};
use rest::Operations;
use serde::de::IgnoredAny;
use std::{
    borrow::Cow,
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::{self, Instant};

/// The waits before a request is sent again.
const AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// The way to Discord, within its limits; cheap to clone.
#[derive(Clone, Debug)]
pub struct Gateway(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    desk: Desk,
    metrics: Metrics,
    operations: Arc<Operations>,
    names: Names,
    traces: Traces,
    applications: RwLock<BTreeMap<u64, Arc<Application>>>,
    /// How many there are to be.
    configured: usize,
    /// Bytes of all bodies in hand, and how many there may be.
    bytes: AtomicUsize,
    most_bytes: usize,
    largest_body: usize,
    timeout: Duration,
}

/// An application that is served.
#[derive(Debug)]
struct Application {
    id: u64,
    authorization: HeaderValue,
    /// Whether Discord takes the token.
    check: Check,
    is_revoked: AtomicBool,
    metrics: OfApplication,
}

/// A request that was looked at, and can be sent.
struct Job<'a> {
    gateway: &'a Inner,
    application: &'a Application,
    call: &'a Call,
    route: Route,
    parcel: Parcel,
    span: Option<Span>,
}

/// The share of a request in the memory that all bodies may take.
struct Weight<'a>(&'a Inner, usize);

impl Gateway {
    /// A way that serves no application yet. Its task ends with the shutdown: then what was not sent is not sent any
    /// more.
    pub(crate) fn start(config: &Config, context: &Context) -> Result<Self, Error> {
        let metrics = Metrics::new(&context.metrics);
        let desk = Desk::new(config.invalid_limit, metrics.clone());
        let operations = Arc::new(Operations::new());
        let timer = desk.clone().run(context.shutdown.clone());
        context.tasks.spawn("turns", timer);
        Ok(Self(Arc::new(Inner {
            client: Client::new(&config.api_url, config.request_timeout)?,
            desk,
            metrics,
            names: Names::new(&operations),
            operations,
            traces: context.traces.clone(),
            applications: RwLock::default(),
            configured: config.applications.len(),
            bytes: AtomicUsize::new(0),
            most_bytes: config.waiting_size,
            largest_body: config.max_body,
            timeout: config.timeout,
        })))
    }

    /// From now on the application is served; whether it was not yet.
    pub(crate) fn serve(
        &self,
        application_id: u64,
        token: &SecretString,
        settings: Settings,
        check: Check,
    ) -> bool {
        let applications = self.0.applications.write();
        let mut applications = applications.unwrap_or_else(PoisonError::into_inner);
        if applications.contains_key(&application_id) {
            return false;
        }
        // A token has no characters that a header cannot have: the configuration says so.
        let text = format!("Bot {}", token.expose_secret());
        let mut authorization = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        authorization.set_sensitive(true);
        check.up();
        let application = Application {
            id: application_id,
            authorization,
            check,
            is_revoked: AtomicBool::new(false),
            metrics: self.0.metrics.of(application_id),
        };
        self.0.desk.open(application_id, settings);
        applications.insert(application_id, Arc::new(application));
        true
    }

    /// The applications that are served.
    pub fn applications(&self) -> Vec<u64> {
        let applications = self.0.applications.read();
        let applications = applications.unwrap_or_else(PoisonError::into_inner);
        applications.keys().copied().collect()
    }

    /// The one application that is configured. Nothing when there are several, and as long as its id is not known.
    pub fn only(&self) -> Option<u64> {
        self.applications().pop().filter(|_| self.0.configured == 1)
    }

    /// How long a caller waits who does not say how long.
    pub fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// How large the body of a request may be.
    pub fn largest_body(&self) -> usize {
        self.0.largest_body
    }

    /// All operations of Discord's API.
    pub(crate) fn operations(&self) -> &Arc<Operations> {
        &self.0.operations
    }

    /// Sends a request when it is its turn, and returns what Discord answered, whatever the status.
    ///
    /// It is sent again after a 429, and, if it may be repeated, after a 5xx and a lost connection, as long as the
    /// deadline lasts. When this is dropped it leaves the line.
    ///
    /// # Errors
    /// What kept it from an answer.
    pub async fn call(&self, application_id: u64, call: Call) -> Result<Answer, Failure> {
        let application = self.0.application(application_id)?;
        let done = self.0.call(&application, &call).await;
        if let Err(failure) = &done {
            application.metrics.failed(failure.code().as_str_name());
        }
        done
    }
}

impl Inner {
    fn application(&self, id: u64) -> Result<Arc<Application>, Failure> {
        let applications = self.applications.read();
        let applications = applications.unwrap_or_else(PoisonError::into_inner);
        applications
            .get(&id)
            .cloned()
            .ok_or(Failure::Application(id))
    }

    async fn call(&self, application: &Application, call: &Call) -> Result<Answer, Failure> {
        let limit = self.largest_body;
        if call.body.len() > limit {
            let (what, bytes) = ("the request's body", call.body.len());
            return Err(Failure::TooLarge { what, bytes, limit });
        }
        if call.once && !may_repeat(call) {
            return Err(Failure::Repeated);
        }
        let job = Job::new(self, application, call)?;
        let _weight = self.weigh(call.body.len())?;
        job.run().await
    }

    /// Takes memory for a body, if there is some left.
    fn weigh(&self, bytes: usize) -> Result<Weight<'_>, Failure> {
        let weight = Weight(self, bytes);
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        weight.show();
        if before + bytes > self.most_bytes && before > 0 {
            let retry_after = Duration::from_secs(1);
            return Err(limit::Refusal::Full { retry_after }.into());
        }
        Ok(weight)
    }
}

impl Weight<'_> {
    fn show(&self) {
        let bytes = self.0.bytes.load(Ordering::Relaxed);
        self.0
            .metrics
            .bytes
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

impl Drop for Weight<'_> {
    fn drop(&mut self) {
        self.0.bytes.fetch_sub(self.1, Ordering::Relaxed);
        self.show();
    }
}

impl<'a> Job<'a> {
    fn new(
        gateway: &'a Inner,
        application: &'a Application,
        call: &'a Call,
    ) -> Result<Self, Failure> {
        let mut route = Route::new(call.method, &call.path, application.id, unix_ms())?;
        if &*route.key == "PATCH channels/*" {
            let members = json(call).and_then(|json| serde_json::from_slice(json).ok());
            let members: BTreeMap<String, IgnoredAny> = members.unwrap_or_default();
            route = route.with_members(members.keys().map(String::as_str));
        }
        let authorization = application.authorize(&call.token, &mut route)?;
        let query = call.query.as_deref();
        let uri = gateway.client.uri(&call.path, query);
        let uri = uri.ok_or_else(|| {
            Failure::invalid("query", "it has a character that must be percent-encoded")
        })?;
        let span = gateway.span(call);
        Ok(Self {
            gateway,
            application,
            call,
            route,
            parcel: Parcel {
                method: method(call.method),
                uri,
                headers: client::headers(call.headers.clone(), authorization),
                body: call.body.clone(),
            },
            span,
        })
    }

    /// Sends it as often as it takes.
    async fn run(&self) -> Result<Answer, Failure> {
        let mut backoff = Backoff::new(AGAIN.0, AGAIN.1);
        loop {
            let sent = self.once().await?;
            let last = match sent {
                Ok(answer) if answer.status.is_server_error() && may_repeat(self.call) => {
                    Ok(answer)
                }
                Ok(answer) => return Ok(answer),
                Err(Lost::Unknown(why)) if !may_repeat(self.call) => {
                    return Err(Failure::Unknown(why));
                }
                Err(Lost::TooLarge(limit)) => {
                    let (what, bytes) = ("Discord's answer", limit);
                    return Err(Failure::TooLarge { what, bytes, limit });
                }
                Err(Lost::Unknown(_)) => Err(Failure::Late),
                Err(Lost::Unreachable(why)) => Err(Failure::Unreachable(why)),
            };
            let wait = backoff.next();
            if Instant::now() + wait >= self.call.deadline {
                return last;
            }
            self.application.metrics.retried();
            time::sleep(wait).await;
        }
    }

    /// Sends it once, and again only after a 429.
    async fn once(&self) -> Result<Result<Answer, Lost>, Failure> {
        let mut place = self.enter()?;
        loop {
            let since = Instant::now();
            place.turn().await.map_err(|left| self.left(left))?;
            self.application.metrics.queued(since.elapsed());
            if let Some(span) = &self.span {
                span.moment("sent");
            }
            let since = Instant::now();
            let sending = self.gateway.client.send(&self.parcel, self.call.deadline);
            let answer = match Box::pin(sending).await {
                Ok(answer) => answer,
                Err(lost) => {
                    place.answered(None);
                    return Ok(Err(lost));
                }
            };
            let limits = self.limits(&answer);
            self.count(&answer, &limits, since.elapsed());
            match place.answered(Some(&limits)) {
                Verdict::Again => {}
                Verdict::Done => return Ok(Ok(answer)),
            }
        }
    }

    fn enter(&self) -> Result<Place, Failure> {
        let request = Request {
            route: self.route.clone(),
            priority: self.call.priority,
            caller: Arc::clone(&self.call.caller),
            deadline: Duration::ZERO,
            since: Duration::ZERO,
        };
        let desk = &self.gateway.desk;
        desk.enter(self.application.id, request, self.call.deadline)
            .map_err(|left| self.left(left))
    }

    fn left(&self, left: Left) -> Failure {
        match left {
            Left::Nobody => Failure::Application(self.application.id),
            Left::Refused(refusal) => refusal.into(),
            Left::Stopping => Failure::Stopping,
        }
    }

    /// What an answer says of limits.
    fn limits(&self, answer: &Answer) -> limit::Answer {
        let status = answer.status;
        let is_told = matches!(
            status,
            StatusCode::NOT_FOUND | StatusCode::TOO_MANY_REQUESTS
        );
        let read = is_told.then(|| Refused::read(&answer.body));
        let read = read.unwrap_or_default();
        let header = |name: &str| answer.header(name);
        let mut limits = limit::Answer::read(status.as_u16(), header, read.code, read.retry_after);
        if status == StatusCode::UNAUTHORIZED && is_for_users(&self.call.path) {
            // It counts as invalid all the same, but says nothing of the bot's token.
            limits.status = StatusCode::FORBIDDEN.as_u16();
        }
        limits
    }

    fn count(&self, answer: &Answer, limits: &limit::Answer, took: Duration) {
        let name = self.gateway.names.find(self.call.method, &self.call.path);
        let status = answer.status.as_u16();
        if let Some(span) = &self.span {
            span.number("http.response.status_code", status.into());
        }
        self.application.metrics.answered(name, status, took);
        if let Some((scope, _)) = limits.limited {
            self.application.metrics.limited(scope);
        }
        if limits.status == 401 && self.route.permit == Permit::Application {
            self.application.revoke();
        }
    }
}

impl Application {
    /// The value of the header `Authorization`. Who is not this application has limits of his own.
    fn authorize(&self, token: &Token, route: &mut Route) -> Result<Option<HeaderValue>, Failure> {
        let text = match token {
            Token::Application if route.permit == Permit::Application => {
                return Ok(Some(self.authorization.clone()));
            }
            Token::Application => return Ok(None),
            Token::None => {
                if route.permit == Permit::Application {
                    route.permit = Permit::Address;
                }
                return Ok(None);
            }
            Token::Bearer(token) => Cow::Owned(format!("Bearer {}", token.expose_secret())),
            Token::Own(value) => Cow::Borrowed(value.expose_secret()),
        };
        let wrong = |_| Failure::invalid("token", "a header cannot have its characters");
        let mut value = HeaderValue::from_str(&text).map_err(wrong)?;
        value.set_sensitive(true);
        if value == self.authorization {
            return Ok(Some(value));
        }
        if route.permit == Permit::Application {
            route.permit = Permit::Address;
        }
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        route.major = format!("{}#{:016x}", route.major, hasher.finish()).into();
        Ok(Some(value))
    }

    /// Discord does not take the token any more: this is said once.
    fn revoke(&self) {
        if self.is_revoked.swap(true, Ordering::Relaxed) {
            return;
        }
        self.metrics.revoked();
        tracing::error!(
            application_id = self.id,
            "Discord refused the bot token (401): it was reset; requests of this application are refused until the \
             process is started with the new one"
        );
        self.check.down(
            "Discord refused the bot token (401): set the new one in DISCORD_TOKEN, or in what DISCORD_TOKEN_FILE \
             names, and start again",
        );
    }
}

impl Inner {
    /// A step of the caller's trace, or of a new one.
    fn span(&self, call: &Call) -> Option<Span> {
        let parent = call.headers.get("traceparent");
        let parent = parent.and_then(|value| value.to_str().ok());
        self.traces.follow(parent, SystemTime::now(), || {
            let name = self.names.find(call.method, &call.path);
            format!("{} {name}", call.method.name())
        })
    }
}

/// Whether the route is for users alone: a bot's token is refused there, and is none the worse for it.
fn is_for_users(path: &str) -> bool {
    let own = [
        "/oauth2/",
        "/users/@me/connections",
        "/users/@me/applications/",
    ];
    own.iter().any(|start| path.starts_with(start)) || path.ends_with("/permissions")
}

fn method(method: Method) -> http::Method {
    match method {
        Method::Delete => http::Method::DELETE,
        Method::Get => http::Method::GET,
        Method::Patch => http::Method::PATCH,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
    }
}

fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
