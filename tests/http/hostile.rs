//! What strangers send.

use anyhow::{Result, ensure};
use sim::{Interact, InteractionKind as Kind, Signature};
use tests::{
    interactions::{Stage, Worker},
    rabbitmq::Rabbit,
};

/// What is signed, and sent to somewhere or with something in it, with the status that it gets.
fn orders(url: &str, id: u64) -> Vec<(Interact, u16)> {
    let order = |path: &str| Interact {
        url: url.replace("/interactions", path),
        ..Interact::default()
    };
    let with = |text: &str| Interact {
        text: Some(text.to_owned()),
        ..order("/interactions")
    };
    let other = id + 1;
    let upper = Interact {
        signature: Signature::Upper,
        ..order("/interactions")
    };
    let of_another = format!(r#"{{"id":"1","application_id":"{other}","type":2,"token":"t"}}"#);
    vec![
        (order("/interactions"), 200),
        (order(&format!("/interactions/{id}")), 200),
        (order(&format!("/interactions/{other}")), 404),
        (order("/"), 404),
        (upper, 200),
        (with("{"), 400),
        (with("[]"), 400),
        (with("{}"), 400),
        (with(""), 400),
        (with(&of_another), 400),
        (with(&"x".repeat(2 << 20)), 413),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_discord_has_not_signed_is_refused_and_no_worker_sees_it() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::new(rabbit, "hostile-http").await?;
    let (service, url) = stage.http().await?;
    let worker = Worker::start(rabbit, &stage.prefix).await?;
    for url in [url.clone(), format!("{url}/{}", stage.application_id)] {
        let probed = stage.sim.probe(&url).await?;
        ensure!(probed.len() == Signature::BAD.len());
        for (signature, status) in probed {
            ensure!(status == Some(401), "{url}, {signature:?}: {status:?}");
        }
    }
    for (order, status) in orders(&url, stage.application_id) {
        let sent = stage.sim.interact(&order).await?;
        ensure!(
            sent[0].status == Some(status),
            "{status}: {:?}",
            sent[0].status
        );
    }
    ensure!(worker.events().len() == 3, "{}", worker.events().len());
    let ping = stage.send(&url, Kind::Ping, "").await?;
    ensure!(ping.status == Some(200), "{ping:?}");
    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interaction_that_is_sent_again_is_no_second_one() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::new(rabbit, "replayed-http").await?;
    let (service, url) = stage.http().await?;
    let worker = Worker::start(rabbit, &stage.prefix).await?;
    let id = stage.application_id;
    let text = format!(
        r#"{{"id":"77","application_id":"{id}","type":2,"token":"t77","data":{{"name":"n4"}}}}"#
    );
    let order = Interact {
        url,
        text: Some(text),
        ..Interact::default()
    };
    for status in [200, 409] {
        let sent = stage.sim.interact(&order).await?;
        ensure!(sent[0].status == Some(status), "{sent:?}");
    }
    ensure!(worker.events().len() == 1);
    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn interactions_come_over_tls_and_by_the_proxy_that_is_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    certificate::make(folder.path(), "server", "IP:127.0.0.1")?;
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let rabbit = Rabbit::shared();
    let mut stage = Stage::new(rabbit, "tls-http").await?;
    stage.set("HTTP_TLS_CERT", &at("server.pem"));
    stage.set("HTTP_TLS_KEY", &at("server.key"));
    stage.set("HTTP_PROXIES", "127.0.0.0/8");
    stage.set("LOG", "info,gateway_http=debug");
    let (service, url) = stage.http().await?;
    let worker = Worker::start(rabbit, &stage.prefix).await?;
    let plain = stage.send(&url, Kind::Ping, "").await?;
    ensure!(plain.status.is_none(), "{plain:?}");
    stage.sim.clear_violations();
    let url = url.replace("http://", "https://");
    let sent = stage.send(&url, Kind::Command, "n4").await?;
    ensure!(sent.status == Some(200), "{sent:?}");
    let client = reqwest::Client::builder().danger_accept_invalid_certs(true);
    let request = client.build()?.post(&url);
    let forged = request
        .header("x-forwarded-for", "198.51.100.7")
        .send()
        .await?;
    ensure!(forged.status() == 401, "{forged:?}");
    service
        .until("the caller", || {
            Ok(service.log().contains("caller=198.51.100.7"))
        })
        .await?;
    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}
