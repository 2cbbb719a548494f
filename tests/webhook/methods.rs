//! What can be done with a webhook.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::rabbitmq::Rabbit;
use wire::gateway::v1::Code;

use super::stage::{HOOK, ask, done, free, hook, hooked, over};
use crate::api::stage::Worker;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_sent_read_changed_and_deleted() -> Result<()> {
    let (rabbit, prefix) = (Rabbit::shared(), "webhook-message");
    let stage = over(rabbit, prefix, hooked()).await?;
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, prefix, &stage).await?;
    // As it is copied from Discord, and in the same way as that of the simulator.
    let address = format!("https://discord.com/api/webhooks/{HOOK}/token");
    let asked = json!({
        "webhook": {"url": address}, "wait": true,
        "message": {
            "content": "hello", "username": "clerk",
            "embeds": [{"title": "one"}],
            "attachments": [{"id": "0", "description": "what it shows"}],
        },
        "files": [
            {"filename": "a.png", "content_type": "image/png", "data": "AAEC"},
            {"filename": "b.txt", "data": "eHl6"},
        ],
    });
    let sent = done(&mut worker, "Execute", &asked).await?["message"].take();
    ensure!(sent["content"] == "hello", "{sent}");
    ensure!(sent["author"]["username"] == "clerk", "{sent}");
    ensure!(sent["webhook_id"] == HOOK.to_string(), "{sent}");
    ensure!(sent["attachments"][0]["filename"] == "a.png", "{sent}");
    ensure!(
        sent["attachments"][0]["description"] == "what it shows",
        "{sent}"
    );
    ensure!(sent["attachments"][1]["size"] == "3", "{sent}");

    let id = sent["id"].as_str().context("it has one")?;
    let own = format!("{}/webhooks/{HOOK}/token", stage.sim.api_url());
    let named = json!({"webhook": {"url": own}, "message_id": id});
    let read = done(&mut worker, "Get", &named).await?["message"].take();
    ensure!(read["content"] == "hello", "{read}");

    let change = json!({
        "webhook": hook(), "message_id": id, "message": {"content": "bye"},
        "files": [{"filename": "c.txt", "data": "eA=="}],
    });
    let changed = done(&mut worker, "Edit", &change).await?["message"].take();
    ensure!(changed["content"] == "bye", "{changed}");
    ensure!(
        changed["attachments"][2]["filename"] == "c.txt",
        "{changed}"
    );

    let nothing = done(&mut worker, "Delete", &named).await?;
    ensure!(nothing == json!({}), "{nothing}");
    let error = ask(&mut worker, "Get", &named).await?.error()?;
    ensure!(error.code() == Code::NotFound, "{error:?}");
    ensure!(error.discord.context("it says so")?.code == 10_008);

    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_polls_and_components_reach_discord() -> Result<()> {
    let (rabbit, prefix) = (Rabbit::shared(), "webhook-thread");
    let stage = over(rabbit, prefix, free()).await?;
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, prefix, &stage).await?;
    let poll = json!({
        "question": {"text": "tea?"}, "duration": 4,
        "answers": [{"poll_media": {"text": "yes"}}, {"poll_media": {"text": "no"}}],
    });
    let mut asked = json!({
        "webhook": hook(), "wait": true, "thread_id": "77",
        "message": {"content": "x", "poll": poll, "components": [{"type": 10, "content": "y"}]},
    });
    let sent = done(&mut worker, "Execute", &asked).await?["message"].take();
    ensure!(sent["channel_id"] == "77", "{sent}");
    ensure!(sent["poll"]["question"]["text"] == "tea?", "{sent}");
    ensure!(sent["components"].is_null(), "{sent}");
    asked["with_components"] = json!(true);
    let sent = done(&mut worker, "Execute", &asked).await?["message"].take();
    ensure!(sent["components"][0]["content"] == "y", "{sent}");

    let mut named = json!({"webhook": hook(), "message_id": sent["id"]});
    let error = ask(&mut worker, "Get", &named).await?.error()?;
    ensure!(error.code() == Code::NotFound, "{error:?}");
    named["thread_id"] = json!("77");
    let read = done(&mut worker, "Get", &named).await?["message"].take();
    ensure!(read["id"] == sent["id"], "{read}");
    let mut change = named.clone();
    change["message"] = json!({"content": "z"});
    let changed = done(&mut worker, "Edit", &change).await?["message"].take();
    ensure!(changed["content"] == "z", "{changed}");
    done(&mut worker, "Delete", &named).await?;

    let forum = json!({
        "webhook": hook(), "wait": true, "message": {"content": "x", "thread_name": "new"},
    });
    let sent = done(&mut worker, "Execute", &forum).await?["message"].take();
    let general = stage.channel.to_string();
    ensure!(sent["channel_id"] != general, "{sent}");

    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_wait_nothing_is_answered_but_that_it_was_sent() -> Result<()> {
    let (rabbit, prefix) = (Rabbit::shared(), "webhook-silent");
    let stage = over(rabbit, prefix, free()).await?;
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, prefix, &stage).await?;
    let asked = json!({"webhook": hook(), "message": {"content": "x", "nonce": "n"}});
    let answer = done(&mut worker, "Execute", &asked).await?;
    ensure!(answer == json!({}), "{answer}");
    ensure!(stage.carried_out().get("n") == Some(&1));
    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn slacks_and_githubs_bodies_are_passed_on() -> Result<()> {
    let (rabbit, prefix) = (Rabbit::shared(), "webhook-shapes");
    let stage = over(rabbit, prefix, free()).await?;
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, prefix, &stage).await?;
    let channel = stage.channel;
    // A number that no float can hold, so that it is seen that the text is the very same.
    let slack = r#"{"text": "from slack", "ts": 12345678901234567890}"#;
    let github = r#"{"repository": {"full_name": "a/b"}}"#;
    let before = stage.sim.message_ids(channel).len();
    for (wait, status) in [(true, 200), (false, 204)] {
        let asked = json!({"webhook": hook(), "wait": wait, "slack": slack});
        let answer = done(&mut worker, "Execute", &asked).await?;
        ensure!(answer == json!({}), "{answer}");
        let last = stage.sim.requests().pop().context("it came")?;
        ensure!(
            last.path == format!("webhooks/{HOOK}/token/slack"),
            "{last:?}"
        );
        ensure!(last.status == status, "{last:?}");
    }
    let asked = json!({
        "webhook": hook(), "thread_id": "78", "github": {"event": "push", "json": github},
    });
    done(&mut worker, "Execute", &asked).await?;
    let came: [Vec<u64>; 2] = [channel, 78].map(|id| stage.sim.message_ids(id));
    ensure!(
        came[0].len() == before + 2 && came[1].len() == 1,
        "{came:?}"
    );
    let named = json!({
        "webhook": hook(), "message_id": came[1][0].to_string(), "thread_id": "78",
    });
    let read = done(&mut worker, "Get", &named).await?["message"].take();
    ensure!(read["content"] == "push a/b", "{read}");
    // What Discord finds wrong is told as it says it.
    let asked = json!({"webhook": hook(), "slack": "{}"});
    let error = ask(&mut worker, "Execute", &asked).await?.error()?;
    ensure!(error.code() == Code::InvalidArgument, "{error:?}");
    let discord: Value = serde_json::from_str(&error.discord.context("it says so")?.body)?;
    ensure!(discord["code"] == 50_006, "{discord}");

    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}
