#![doc = include_str!("../README.md")]

mod error;
mod look;
mod verdict;

use std::{
    io::{self, Write as _},
    time::Duration,
};

use boot::{Order, Orders, Parse as _};
use broker::{CallError, Client};
use discord::signature::PublicKeys;
use prost::Message as _;
use serde_json::{Value, json};
use tokio::time::{self, Instant};
use wire::gateway::v1::{CallRequest, CallResponse, call_request::Body};

pub use error::Error;

/// Tells Discord the address.
pub const REGISTER: Order = Order {
    name: "register",
    value: "URL",
    help: "Tell Discord, through gateway-api, that this is the address; say what it thinks of it, and exit. With several applications \
           {id} in it stands for the application's id",
};
/// Looks whether the address is as it should be.
pub const VERIFY: Order = Order {
    name: "verify-self",
    value: "URL",
    help: "Look whether DISCORD_PUBLIC_KEY is the application's and this address refuses what Discord has not signed, as Discord \
           tests it; say what is wrong, and exit",
};
/// Both.
pub const ORDERS: &[Order] = &[REGISTER, VERIFY];

/// How long Discord may take: it tests the address meanwhile.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a connection to RabbitMQ is waited for.
const CONNECT: Duration = Duration::from_secs(10);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// What Discord sends to an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Webhook events.
    Events,
    /// Interactions.
    Interactions,
}

impl Kind {
    /// What Discord calls such an address.
    const fn name(self) -> &'static str {
        match self {
            Self::Events => "webhook events URL",
            Self::Interactions => "interactions endpoint URL",
        }
    }

    /// The member of Discord's application.
    const fn member(self) -> &'static str {
        match self {
            Self::Events => "event_webhooks_url",
            Self::Interactions => "interactions_endpoint_url",
        }
    }
}

/// Carries orders out.
#[derive(Debug)]
pub struct Registrar {
    /// The way to `gateway-api`.
    pub client: Client,
    /// What the address is for.
    pub kind: Kind,
    /// The applications, and the keys that are configured for them.
    pub applications: Vec<(u64, PublicKeys)>,
}

impl Registrar {
    /// Does what was ordered, and says on stdout how it went.
    ///
    /// # Errors
    ///
    /// What a person has to change.
    pub async fn carry_out(&self, orders: &Orders) -> Result<(), Error> {
        for (id, keys) in &self.applications {
            if let Some(url) = orders.get(&REGISTER) {
                let url = self.address(url, *id)?;
                say(&self.register(*id, keys, &url).await?);
            }
            if let Some(url) = orders.get(&VERIFY) {
                let url = self.address(url, *id)?;
                say(&self.verify(*id, keys, &url).await?);
            }
        }
        Ok(())
    }

    /// The address of one application.
    fn address(&self, url: &str, id: u64) -> Result<String, Error> {
        if self.applications.len() > 1 && !url.contains("{id}") {
            return Err(Error::Shared);
        }
        let url = url.replace("{id}", &id.to_string());
        match reqwest::Url::parse(&url) {
            Ok(parsed) if parsed.has_host() => Ok(url),
            _ => Err(Error::NoUrl(url)),
        }
    }

    /// Has Discord take an address; what it says.
    async fn register(&self, id: u64, keys: &PublicKeys, url: &str) -> Result<String, Error> {
        let kind = self.kind;
        let mut members = json!({kind.member(): url});
        if kind == Kind::Events {
            members["event_webhooks_status"] = json!(2);
        }
        let error = match self.ask(id, "PATCH", Some(&members)).await {
            Ok(application) => return Ok(taken(kind, id, url, &application)),
            Err(error) => error,
        };
        let Some(words) = verdict::words(&error) else {
            return Err(Error::of(id, error));
        };
        let seen = self.look(id, keys, url).await?;
        Err(Error::Refused {
            id,
            url: url.to_owned(),
            name: kind.name(),
            words,
            seen: look::text(&seen),
        })
    }

    /// Looks at an address; what there is to see.
    async fn verify(&self, id: u64, keys: &PublicKeys, url: &str) -> Result<String, Error> {
        let seen = self.look(id, keys, url).await?;
        let text = look::text(&seen);
        match seen.iter().all(|it| it.is_right) {
            true => Ok(format!("application {id}, {url}:\n{text}")),
            false => Err(Error::Wrong {
                id,
                url: url.to_owned(),
                seen: text,
            }),
        }
    }

    async fn look(
        &self,
        id: u64,
        keys: &PublicKeys,
        url: &str,
    ) -> Result<Vec<look::Finding>, Error> {
        let asked = self.ask(id, "GET", None).await;
        let application = asked.map_err(|error| Error::of(id, error))?;
        let key = application["verify_key"].as_str().unwrap_or_default();
        let known = PublicKeys::parse(key).ok();
        let mut seen = vec![look::key(known.is_some_and(|known| keys.have(&known)), key)];
        seen.extend(look::at(url).await?);
        let registered = application[self.kind.member()].as_str();
        seen.push(look::registered(self.kind.name(), registered, url));
        Ok(seen)
    }

    /// Asks Discord for the application, or changes it.
    async fn ask(&self, id: u64, method: &str, change: Option<&Value>) -> Result<Value, CallError> {
        let request = CallRequest {
            method: method.to_owned(),
            path: "/applications/@me".to_owned(),
            body: change.map(|change| Body::Json(change.to_string())),
            ..CallRequest::default()
        };
        let (body, key) = (request.encode_to_vec(), format!("api.Call.{id}"));
        let until = Instant::now() + CONNECT;
        let reply = loop {
            let body = body.clone().into();
            let call = self
                .client
                .call("gateway.v1.Api/Call", &key, body, 9, PATIENCE);
            match call.await {
                // The connection is made in the background.
                Err(CallError::Away) if Instant::now() < until => time::sleep(PAUSE).await,
                reply => break reply?,
            }
        };
        let response = CallResponse::decode(reply.body).map_err(|_| CallError::Odd)?;
        serde_json::from_slice(&response.body).map_err(|_| CallError::Odd)
    }
}

/// What there is to say when Discord has taken an address.
fn taken(kind: Kind, id: u64, url: &str, application: &Value) -> String {
    let name = kind.name();
    let more = match kind {
        Kind::Interactions => {
            "Interactions come there from now on, and no more by gateway connections.".to_owned()
        }
        Kind::Events => {
            let types = application["event_webhooks_types"].as_array();
            let types = types.into_iter().flatten().filter_map(Value::as_str);
            match types.collect::<Vec<_>>().join(", ") {
                none if none.is_empty() => {
                    "No events are chosen yet: choose them in the developer portal.".to_owned()
                }
                types => format!("It gets {types}."),
            }
        }
    };
    format!("Discord has tested {url}, and takes it as the {name} of application {id}. {more}")
}

fn say(text: &str) {
    // Without stdout there is nobody to tell.
    writeln!(io::stdout(), "{text}").ok();
}
