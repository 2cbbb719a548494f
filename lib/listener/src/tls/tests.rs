//! Certificates that change, and HTTP/2.

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use boot::Context;
use bytes::Bytes;
use certificate::make;
use http::{Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use reqwest::{Certificate, Client};

use super::Tls;
use crate::{Answer, Config, Listener, Protocols};

/// What certificates are for.
const HERE: &str = "IP:127.0.0.1";

const PATIENCE: Duration = Duration::from_secs(30);

/// Says hello.
struct Hello;

impl Answer for Hello {
    async fn answer(&self, _: Request<Incoming>, _: SocketAddr) -> Response<Full<Bytes>> {
        Response::new(Full::from("hello"))
    }
}

fn client(folder: &Path, root: &str) -> Client {
    let root = fs::read(folder.join(format!("{root}.pem"))).unwrap();
    let root = Certificate::from_pem(&root).unwrap();
    let client = Client::builder().no_proxy().tls_certs_only([root]);
    client.build().unwrap()
}

async fn listen(tls: &Tls, protocols: Protocols) -> (SocketAddr, Context) {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let context = Context::new();
    let config = Config {
        connections: 10,
        tls: Some(tls.clone()),
    };
    let here = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(here, &config, protocols, &context)
        .await
        .unwrap();
    let address = listener.address();
    context.tasks.spawn("http", listener.run(Arc::new(Hello)));
    (address, context)
}

#[tokio::test]
async fn a_new_certificate_is_used_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make(folder, "old", HERE).unwrap();
    make(folder, "new", HERE).unwrap();
    let put = |name: &str, ending: &str| {
        let from = folder.join(format!("{name}.{ending}"));
        fs::copy(from, folder.join(format!("used.{ending}"))).unwrap();
    };
    put("old", "pem");
    put("old", "key");
    let tls = Tls::read(folder.join("used.pem"), folder.join("used.key"), None).unwrap();
    let (address, context) = listen(&tls, Protocols::Http1).await;
    let url = format!("https://{address}/");
    let serves = async |root: &str| client(folder, root).get(&url).send().await.is_ok();
    assert!(serves("old").await);
    assert_eq!(tls.refresh(), Ok(false), "nothing has changed");

    // Between the two files, and with a broken one, the old ones stay.
    put("new", "pem");
    assert!(tls.refresh().unwrap_err().contains("used.pem"));
    assert!(serves("old").await);
    fs::write(folder.join("used.key"), "nothing").unwrap();
    assert!(tls.refresh().unwrap_err().contains("used.key"));
    assert!(serves("old").await);

    put("new", "key");
    assert_eq!(tls.refresh(), Ok(true));
    assert!(serves("new").await);
    assert!(!serves("old").await);
    assert_eq!(tls.refresh(), Ok(false));
    context.shutdown.cancel();
    context.tasks.join(PATIENCE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_files_are_looked_at_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make(folder, "used", HERE).unwrap();
    let tls = Tls::read(folder.join("used.pem"), folder.join("used.key"), None).unwrap();
    let before = tls.current().digest;
    make(folder, "used", HERE).unwrap();
    let context = Context::new();
    context
        .tasks
        .spawn("watch", tls.clone().watch(context.shutdown.clone()));
    let changed = async {
        while tls.current().digest == before {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(3600), changed)
        .await
        .unwrap();
    context.shutdown.cancel();
    context.tasks.join(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn http2_is_spoken_where_it_is_wanted_and_ends_well() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make(folder, "used", HERE).unwrap();
    let tls = Tls::read(folder.join("used.pem"), folder.join("used.key"), None).unwrap();
    for (protocols, version) in [
        (Protocols::Http1, Version::HTTP_11),
        (Protocols::Http1And2, Version::HTTP_2),
    ] {
        let (address, context) = listen(&tls, protocols).await;
        let client = client(folder, "used");
        for _ in 0..3 {
            let answer = client
                .get(format!("https://{address}/"))
                .send()
                .await
                .unwrap();
            assert_eq!(answer.version(), version);
            assert_eq!(answer.text().await.unwrap(), "hello");
        }
        context.shutdown.cancel();
        context.tasks.join(PATIENCE).await.unwrap();
    }
}
