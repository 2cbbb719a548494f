//! The listener on a real socket, with a simulated Discord behind it.

mod callers;
mod hostile;
mod limits;
mod tls;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use boot::{Context, Reader, SecretString};
use reqwest::{Client, Method, RequestBuilder, Response, header::HeaderMap};
use serde_json::{Value, json};
use sim::{RestConfig, Sim};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time,
};

use super::Listener;
use crate::{Config, Gateway, KEYS};

/// How long something may take before it counts as never.
const PATIENCE: Duration = Duration::from_secs(30);
/// An application beside the simulated one.
const OTHER: u64 = 77;

/// A listener with all that is behind it.
struct Stage {
    sim: Sim,
    address: SocketAddr,
    context: Context,
    application_id: u64,
    channel: u64,
    client: Client,
}

impl Stage {
    async fn new(variables: &[(&str, &str)]) -> Self {
        Self::with(RestConfig::default(), variables, None).await
    }

    async fn with(rest: RestConfig, variables: &[(&str, &str)], file: Option<&str>) -> Self {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let config = sim::Config {
            rest,
            ..sim::Config::default()
        };
        let sim = Sim::start(config).await.unwrap();
        let url = sim.api_url();
        let mut all = BTreeMap::from([
            ("DISCORD_API_URL", url.as_str()),
            ("HTTP_ADDRESS", "127.0.0.1:0"),
        ]);
        if file.is_none() {
            all.insert("DISCORD_TOKEN", "sim.token");
        }
        all.extend(variables.iter().copied());
        let all = all
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut reader = Reader::of("api", KEYS, all, file.map(|text| ("gateway.toml", text)));
        let config = Config::read(&mut reader);
        let config = reader.finish(config).unwrap();
        let context = Context::new();
        let gateway =
            Gateway::start(&config.outbound, config.applications.len(), &context).unwrap();
        let application_id = sim.settings().application_id;
        let http = config.http.as_ref().unwrap();
        let listener = Listener::bind(http, &config, gateway.clone(), &context);
        let listener = listener.await.unwrap();
        let address = listener.address();
        context.tasks.spawn("http", listener.run());
        for (application, id) in config.applications.iter().zip([application_id, OTHER]) {
            let token = SecretString::from("sim.token");
            let check = context.health.check(format!("discord {id}"));
            let settings = config.outbound.settings(application.global_limit);
            assert!(gateway.serve(id, Some(&token), settings, check));
        }
        let guild = sim.guild_ids()[0];
        Self {
            channel: sim.channel_ids(guild)[0],
            sim,
            address,
            context,
            application_id,
            client: Client::builder().no_proxy().build().unwrap(),
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("http://{}{path}", self.address))
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// A message in the channel.
    fn message(&self, content: &str) -> RequestBuilder {
        let path = format!("/api/v10/channels/{}/messages", self.channel);
        self.request(Method::POST, &path)
            .json(&json!({"content": content}))
    }

    /// Writes bytes as they are, and reads until the end of the connection.
    async fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // It may be refused before all of it is written.
        stream.write_all(bytes.as_ref()).await.ok();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        time::timeout(PATIENCE, read).await.unwrap().ok();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Waits until `/metrics` has this line.
    async fn shows(&self, line: &str) {
        let shown = async {
            while !self
                .context
                .metrics
                .text()
                .unwrap()
                .lines()
                .any(|each| each == line)
            {
                time::sleep(Duration::from_millis(5)).await;
            }
        };
        let shown = time::timeout(PATIENCE, shown).await;
        assert!(
            shown.is_ok(),
            "{line}\n{}",
            self.context.metrics.text().unwrap()
        );
    }

    /// Nobody has done anything against Discord's rules.
    fn rules_kept(&self) {
        let violations = self.sim.violations();
        assert!(violations.is_empty(), "{violations:?}");
    }
}

/// Status, headers and body.
async fn taken(request: RequestBuilder) -> (u16, HeaderMap, Value) {
    read(request.send().await.unwrap()).await
}

async fn read(response: Response) -> (u16, HeaderMap, Value) {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = match text.is_empty() {
        true => Value::Null,
        false => serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}")),
    };
    (status, headers, body)
}
