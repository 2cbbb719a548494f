//! What Discord is answered, and what follows.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use sim::{Interact, Interacted, InteractionKind as Kind};
use tests::{
    interactions::{
        Worker,
        stage::{PATIENCE, SORRY, Stage, content, is_sorry},
    },
    rabbitmq::Rabbit,
};
use tokio::time::{Instant, sleep};

fn kind(answer: Option<&Value>) -> Value {
    answer.map_or(Value::Null, |answer| answer["type"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_interaction_is_answered_with_each_kind_of_reply() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::new(rabbit, "every-answer").await?;
    let (service, url) = stage.http().await?;
    let worker = Worker::start(rabbit, &stage.prefix).await?;
    let ping = stage.send(&url, Kind::Ping, "").await?;
    ensure!(ping.answer == Some(json!({"type": 1})), "{ping:?}");
    let mut count = 0;
    for (interaction, answers) in [
        (Kind::Command, &[4, 5, 9, 12][..]),
        (Kind::Component, &[4, 5, 6, 7, 9, 12]),
        (Kind::ComponentModal, &[4, 5, 6, 7, 12]),
        (Kind::Modal, &[4, 5, 12]),
        (Kind::Autocomplete, &[8]),
        (Kind::Purchase, &[13]),
    ] {
        for number in answers {
            let sent = stage.send(&url, interaction, &format!("n{number}")).await?;
            let found = (sent.status, kind(sent.answer.as_ref()));
            ensure!(found == (Some(200), json!(number)), "{sent:?}");
            count += 1;
        }
    }
    ensure!(
        worker.has(count).await?.len() == count,
        "a ping is no event"
    );
    let text = reqwest::get(format!("{}/metrics", service.admin().await?)).await?;
    let text = text.text().await?;
    let id = stage.application_id;
    for line in [
        format!(
            "gateway_http_interactions_total{{application=\"{id}\",kind=\"command\",answer=\"reply\"}} 4"
        ),
        "gateway_http_replies_total{outcome=\"answer\"} 20".to_owned(),
    ] {
        ensure!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}

/// An interaction, what it is answered at once, and how many edits and followups come later.
pub(super) struct Late(Kind, &'static str, Value, u32, u32);

pub(super) fn late_ones() -> [Late; 13] {
    let said = json!({"content": "said by the worker"});
    let alone = json!({"flags": 64});
    let thinking = || json!({"type": 5});
    let nothing = || json!({"type": 6});
    let no_choices = json!({"type": 8, "data": {"choices": []}});
    [
        Late(
            Kind::Command,
            "late4",
            json!({"type": 5, "data": alone}),
            1,
            0,
        ),
        Late(Kind::Modal, "late4", thinking(), 1, 0),
        Late(
            Kind::Modal,
            "never:1",
            json!({"type": 5, "data": alone}),
            0,
            0,
        ),
        Late(Kind::Component, "late4", nothing(), 0, 1),
        Late(Kind::Component, "late7", nothing(), 1, 0),
        Late(Kind::ComponentModal, "late7:x", nothing(), 1, 0),
        Late(Kind::Autocomplete, "late8", no_choices, 0, 0),
        Late(Kind::Command, "never", thinking(), 0, 0),
        // It cannot be any more, so the user is told.
        Late(Kind::Command, "late9", thinking(), 1, 0),
        Late(Kind::Command, "lateembeds", thinking(), 1, 0),
        Late(Kind::Component, "lateembeds", nothing(), 0, 1),
        Late(Kind::Command, "latefile", thinking(), 1, 0),
        Late(
            Kind::Command,
            "twice",
            json!({"type": 4, "data": said}),
            0,
            1,
        ),
    ]
}

impl Late {
    pub(super) async fn happens(self, stage: &Stage, url: &str) -> Result<()> {
        let Self(kind, name, answer, edits, followups) = self;
        let sent = stage.send(url, kind, name).await?;
        ensure!(sent.answer.as_ref() == Some(&answer), "{name}: {sent:?}");
        let wanted = |it: &Interacted| (it.edits, it.followups) == (edits, followups);
        let sent = stage.follows(sent, wanted).await?;
        let shown = sent.original.as_ref().map(|it| it["content"].clone());
        match name {
            "late4" if edits > 0 => ensure!(shown == Some(json!("said by the worker"))),
            "late9" => ensure!(shown == Some(json!(SORRY)), "{sent:?}"),
            _ => {}
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_late_follows_what_was_deferred() -> Result<()> {
    let rabbit = Rabbit::shared();
    let mut stage = Stage::new(rabbit, "late-answer").await?;
    stage.set("INTERACTION_EPHEMERAL", "command.late4.#, modal.never");
    let (service, url) = stage.http().await?;
    let api = stage.api().await?;
    let worker = Worker::start(rabbit, &stage.prefix).await?;
    try_join_all(late_ones().map(|late| late.happens(&stage, &url))).await?;
    let late = worker
        .told("after that Discord takes messages alone")
        .await?;
    ensure!(late.code() == wire::gateway::v1::Code::FailedPrecondition);
    worker.told("`callback.data.embeds`").await?;
    worker.close().await?;
    service.terminate()?;
    api.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_is_no_answer_is_told_to_worker_and_user() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::new(rabbit, "useless-answer").await?;
    let (service, url) = stage.http().await?;
    let worker = Worker::start(rabbit, &stage.prefix).await?;
    for (name, told) in [
        ("embeds", "`callback.data.embeds`: 11 are more than the 10"),
        ("garbage", "`body`"),
        ("n6", "`callback.type`: 6"),
        ("n8", "`callback.type`: 8"),
        ("n1", "`callback.type`: 1"),
        ("n99", "`callback.type`: 99"),
        ("failure", ""),
    ] {
        let sent = stage.send(&url, Kind::Command, name).await?;
        ensure!(is_sorry(&sent), "{name}: {sent:?}");
        if !told.is_empty() {
            let error = worker.told(told).await?;
            ensure!(error.code() == wire::gateway::v1::Code::InvalidArgument);
        }
    }
    let sent = stage.send(&url, Kind::Autocomplete, "n4").await?;
    let nothing = json!({"type": 8, "data": {"choices": []}});
    ensure!(sent.answer == Some(nothing), "{sent:?}");
    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_reply_wins_and_the_same_one_counts_once() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::new(rabbit, "first-answer").await?;
    let (service, url) = stage.http().await?;
    let worker = Worker::start(rabbit, &stage.prefix).await?;
    let sent = stage.send(&url, Kind::Command, "again").await?;
    ensure!(content(&sent) == "said by the worker", "{sent:?}");
    let sent = stage.send(&url, Kind::Command, "direct").await?;
    ensure!(content(&sent) == "said by the worker", "{sent:?}");
    let url = format!("{}/metrics", service.admin().await?);
    let repeated = "gateway_http_replies_total{outcome=\"repeated\"} 2";
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = reqwest::get(&url).await?.text().await?;
        if text.lines().any(|line| line == repeated) {
            break;
        }
        ensure!(Instant::now() < deadline, "{text}");
        sleep(Duration::from_millis(10)).await;
    }
    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_by_the_callback_and_without_api_everybody_hears_it() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::new(rabbit, "file-answer").await?;
    let (service, url) = stage.http().await?;
    let worker = Worker::start(rabbit, &stage.prefix).await?;
    let sent = stage.send(&url, Kind::Command, "file").await?;
    ensure!(is_sorry(&sent), "{sent:?}");
    let error = worker.told("nobody takes requests").await?;
    ensure!(
        error.code() == wire::gateway::v1::Code::Unavailable,
        "{error:?}"
    );
    let api = stage.api().await?;
    let sent = stage.send(&url, Kind::Command, "file").await?;
    ensure!(
        (sent.status, sent.callback) == (Some(202), Some(4)),
        "{sent:?}"
    );
    let original = sent.original.unwrap_or_default();
    ensure!(original["files"] == 1, "{original}");
    worker.close().await?;
    service.terminate()?;
    api.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_interaction_is_without_an_answer_however_workers_behave() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::new(rabbit, "many-answers").await?;
    let (service, url) = stage.http().await?;
    let api = stage.api().await?;
    let worker = Worker::start(rabbit, &stage.prefix).await?;
    let orders = ["n4", "late4", "never", "twice", "garbage", "again"].map(|name| Interact {
        url: url.clone(),
        name: name.to_owned(),
        count: 20,
        concurrency: 2,
        ..Interact::default()
    });
    try_join_all(orders.iter().map(|order| stage.sim.interact(order))).await?;
    let all = stage.sim.interactions();
    ensure!((all.sent, all.answered) == (120, 120), "{all:?}");
    ensure!((all.refused, all.unanswered) == (0, 0), "{all:?}");
    worker.close().await?;
    service.terminate()?;
    api.terminate()?;
    stage.rules_kept()
}
