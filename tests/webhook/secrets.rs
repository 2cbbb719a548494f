//! A webhook's token is known to its worker and to Discord, and to nobody else.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use sim::Times;
use tests::{rabbitmq::Rabbit, redis::Redis};

use super::stage::{HOOK, ask, encoded, free, over};
use crate::api::stage::{Worker, has, until};

/// Tokens of webhooks that do not exist, and one of the simulator's.
const SECRETS: [&str; 2] = ["s3cret-token-of-a-webhook", "another_secret"];

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_addresses_are_in_no_log_error_metric_or_key() -> Result<()> {
    let (rabbit, prefix) = (Rabbit::shared(), "webhook-secrets");
    let redis = Redis::start()?;
    let mut stage = over(rabbit, prefix, free()).await?;
    stage.set("REDIS_URL", &redis.url());
    stage.set("LOG", "trace,lapin=off");
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, prefix, &stage).await?;
    let [one, other] = SECRETS;
    let base = stage.sim.api_url();
    let named = |webhook: Value| json!({"webhook": webhook, "message": {"content": "x"}});
    let mut errors = Vec::new();
    let mut failed = |reply: crate::api::stage::Reply| -> Result<()> {
        errors.push(format!("{:?}", reply.error()?));
        Ok(())
    };
    for asked in [
        named(json!({"id": (HOOK + 1).to_string(), "token": one})),
        named(json!({"id": HOOK.to_string(), "token": other})),
        named(json!({"url": format!("{base}/webhooks/{}/{one}", HOOK + 2)})),
        named(json!({"url": format!("{base}/webhooks/{HOOK}/{other}/x")})),
        named(json!({"url": format!("https://evil.example/api/webhooks/{HOOK}/{one}")})),
        named(json!({"id": HOOK.to_string(), "token": format!("{one}/..")})),
    ] {
        failed(ask(&mut worker, "Execute", &asked).await?)?;
        // The second time nobody asks Discord.
        failed(ask(&mut worker, "Execute", &asked).await?)?;
    }
    // A connection that breaks, and bytes that are no message.
    stage
        .sim
        .change_faults(|faults| faults.rest_reset = Times::Next(1));
    let asked = named(json!({"id": (HOOK + 3).to_string(), "token": one}));
    failed(ask(&mut worker, "Execute", &asked).await?)?;
    let mut cut = encoded("Execute", &asked)?;
    cut.truncate(cut.len() - 2);
    failed(worker.ask("webhook.Execute", &cut).await?)?;
    until(&service, "/metrics", |text| has(text, "api_waiting", "0")).await?;

    let admin = service.admin().await?;
    for path in ["/metrics", "/readyz"] {
        errors.push(reqwest::get(format!("{admin}{path}")).await?.text().await?);
    }
    errors.extend(keys(&redis.url()).await?);
    worker.close().await?;
    errors.push(service.terminate()?.log);
    for text in errors {
        for secret in SECRETS {
            ensure!(!text.contains(secret), "{text}");
        }
    }
    Ok(())
}

/// All keys, and what they hold as far as it is text.
async fn keys(url: &str) -> Result<Vec<String>> {
    let mut connection = redis::Client::open(url)?
        .get_multiplexed_async_connection()
        .await?;
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut connection)
        .await?;
    let mut all = Vec::new();
    for key in keys {
        let held = redis::cmd("DUMP")
            .arg(&key)
            .query_async::<Vec<u8>>(&mut connection)
            .await?;
        all.push(format!("{key} {}", String::from_utf8_lossy(&held)));
    }
    Ok(all)
}
