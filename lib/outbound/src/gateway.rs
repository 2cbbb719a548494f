//! The one door to Discord: whoever has a request hands it in here, and gets Discord's answer or the reason why not.

mod job;

use self::job::Job;
use crate::{
    Answer, Call, Config, Error, Failure, Token,
    client::Client,
    desk::Desk,
    files::Files,
    metrics::{Metrics, OfApplication},
    operations::Names,
    repeat::may_repeat,
};
use boot::{Check, Context, ExposeSecret as _, SecretString, Traces};
use discord::{
    limit::{Refusal, Settings},
    route::{Permit, Route},
};
use http::HeaderValue;
use rest::Operations;
use std::{
    borrow::Cow,
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// The way to Discord, within its limits; cheap to clone.
#[derive(Clone, Debug)]
pub struct Gateway(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    files: Files,
    desk: Desk,
    metrics: Metrics,
    /// All operations of Discord's API, read when one is asked for.
    operations: OnceLock<Operations>,
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
    /// Nothing: it has no token here, and only what needs none is sent.
    authorization: Option<HeaderValue>,
    /// Whether Discord takes the token.
    check: Check,
    is_revoked: AtomicBool,
    metrics: OfApplication,
}

/// The share of a request in the memory that all bodies may take.
struct Weight<'a>(&'a Inner, usize);

impl Gateway {
    /// A way that serves none of so many applications yet. Its task ends with the shutdown: then what was not sent is
    /// not sent any more.
    ///
    /// # Errors
    /// When the TLS set-up of this machine cannot be used.
    pub fn start(config: &Config, applications: usize, context: &Context) -> Result<Self, Error> {
        let metrics = Metrics::new(&context.metrics);
        let desk = Desk::new(config.invalid_limit, metrics.clone());
        let timer = desk.clone().run(context.shutdown.clone());
        context.tasks.spawn("turns", timer);
        Ok(Self(Arc::new(Inner {
            client: Client::new(&config.api_url, config.request_timeout)?,
            files: Files::new(config.file_urls, config.file_timeout)?,
            desk,
            metrics,
            names: Names::new(),
            operations: OnceLock::new(),
            traces: context.traces.clone(),
            applications: RwLock::default(),
            configured: applications,
            bytes: AtomicUsize::new(0),
            most_bytes: config.waiting_size,
            largest_body: config.max_body,
            timeout: config.timeout,
        })))
    }

    /// From now on the application is served; whether it was not yet.
    pub fn serve(
        &self,
        application_id: u64,
        token: Option<&SecretString>,
        settings: Settings,
        check: Check,
    ) -> bool {
        let applications = self.0.applications.write();
        let mut applications = applications.unwrap_or_else(PoisonError::into_inner);
        if applications.contains_key(&application_id) {
            return false;
        }
        // A token has no characters that a header cannot have: the configuration says so.
        let authorization = token.map(|token| {
            let text = format!("Bot {}", token.expose_secret());
            let mut value = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
            value.set_sensitive(true);
            value
        });
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

    /// Some replica has heard that Discord refuses the application's token.
    pub(crate) fn revoke(&self, application_id: u64) {
        if let Ok(application) = self.0.application(application_id) {
            application.revoke();
        }
    }

    /// Where requests line up.
    pub(crate) fn desk(&self) -> &Desk {
        &self.0.desk
    }

    /// What `/metrics` says.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
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

    /// Reads the files that requests name by an address.
    pub(crate) fn files(&self) -> &Files {
        &self.0.files
    }

    /// All operations of Discord's API.
    pub fn operations(&self) -> &Operations {
        self.0.operations.get_or_init(Operations::new)
    }

    /// Sends a request when it is its turn, and returns what Discord answered, whatever the status.
    ///
    /// It is sent again after a 429, and, if it may be repeated, after a 5xx and a lost connection, as long as the
    /// deadline lasts. When this is dropped it leaves the line.
    ///
    /// # Errors
    /// What kept it from an answer.
    pub async fn call(&self, application_id: u64, mut call: Call) -> Result<Answer, Failure> {
        let application = self.0.application(application_id)?;
        let done = self.0.call(&application, &mut call).await;
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

    async fn call(&self, application: &Application, call: &mut Call) -> Result<Answer, Failure> {
        let (limit, bytes) = (self.largest_body, call.body.len());
        if bytes > limit {
            let what = "the request's body";
            return Err(Failure::TooLarge { what, bytes, limit });
        }
        if call.once && !may_repeat(call, &call.headers) {
            return Err(Failure::Repeated);
        }
        let job = Job::new(self, application, call)?;
        let _weight = self.weigh(bytes)?;
        job.run().await
    }

    /// Takes memory for a body, if there is some left.
    fn weigh(&self, bytes: usize) -> Result<Weight<'_>, Failure> {
        let weight = Weight(self, bytes);
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        weight.show();
        if before + bytes > self.most_bytes && before > 0 {
            let retry_after = Duration::from_secs(1);
            return Err(Refusal::Full { retry_after }.into());
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

impl Application {
    /// The value of the header `Authorization`. Who is not this application has limits of his own.
    fn authorize(&self, token: &Token, route: &mut Route) -> Result<Option<HeaderValue>, Failure> {
        let text = match token {
            Token::Application if route.permit == Permit::Application => {
                let why = "it needs the token of the bot, which is not known here";
                let value = self.authorization.clone();
                return value.map(Some).ok_or_else(|| Failure::invalid("path", why));
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
        if self.authorization.as_ref() == Some(&value) {
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

#[cfg(test)]
mod tests;
