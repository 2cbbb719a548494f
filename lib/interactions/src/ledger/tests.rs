//! Who gets what, in paused time.

use std::time::Duration;

use broker::Answer;
use prost::Message as _;
use tokio::time::advance;
use transcode::Transcoder;
use wire::{
    discord::v1::{InteractionCallbackDataParams, InteractionCallbackParams},
    gateway::v1::{Error, InteractionResponse},
};

use super::{First, Followed, LIFE, Ledger, Outcome, Refusal, Unfit};
use crate::{
    conversation::{Job, Kind},
    metrics::Metrics,
    reply::Replies,
};

fn ledger(most: usize) -> Ledger {
    Ledger::new(most, Metrics::new(&boot::Metrics::new(), "http"))
}

/// A reply with this text.
fn answer(message_id: &str, content: &str) -> Answer {
    let data = InteractionCallbackDataParams {
        content: Some(content.to_owned()),
        ..InteractionCallbackDataParams::default()
    };
    let response = InteractionResponse {
        callback: Some(InteractionCallbackParams {
            r#type: Some(4),
            data: Some(data),
            ..InteractionCallbackParams::default()
        }),
        files: Vec::new(),
    };
    Answer {
        type_name: "gateway.v1.InteractionResponse".to_owned(),
        body: response.encode_to_vec().into(),
        message_id: Some(message_id.to_owned()),
        ..Answer::default()
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_reply_wins_and_one_that_comes_again_is_nothing() {
    let transcoder = Transcoder::new();
    let replies = Replies::new(&transcoder);
    let ledger = ledger(10);
    let mut first = ledger.open(1, 7, "token", Kind::Command, false).unwrap();
    assert!(matches!(
        ledger.hear(1, &answer("a", "one"), &replies),
        Outcome::First
    ));
    assert!(matches!(
        ledger.hear(1, &answer("a", "one"), &replies),
        Outcome::Repeated
    ));
    assert!(matches!(
        ledger.hear(1, &answer("b", "two"), &replies),
        Outcome::Work
    ));
    assert!(matches!(
        ledger.hear(1, &answer("c", "three"), &replies),
        Outcome::Queued
    ));
    let Ok(First::Reply(reply)) = first.try_recv() else {
        panic!("it is the answer")
    };
    assert_eq!(reply.json, r#"{"type":4,"data":{"content":"one"}}"#);
    assert_eq!(ledger.owing(), 1);
    for text in ["two", "three"] {
        let work = ledger.work(1).unwrap();
        let Job::Followup(reply, None) = work.job else {
            panic!("it follows")
        };
        assert_eq!(reply.message(false).content(), text);
    }
    assert!(ledger.work(1).is_none());
    assert_eq!(ledger.owing(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_reply_at_the_last_moment_is_not_lost() {
    let transcoder = Transcoder::new();
    let replies = Replies::new(&transcoder);
    let ledger = ledger(10);
    let mut first = ledger.open(1, 7, "token", Kind::Command, false).unwrap();
    assert!(matches!(
        ledger.hear(1, &answer("a", "one"), &replies),
        Outcome::First
    ));
    assert!(ledger.defer(1).is_none());
    assert!(first.try_recv().is_ok());
    // And one a moment later is an edit.
    let mut other = ledger.open(2, 7, "token", Kind::Command, false).unwrap();
    assert!(ledger.defer(2).is_some());
    assert_eq!(ledger.owing(), 1);
    assert!(matches!(
        ledger.hear(2, &answer("a", "one"), &replies),
        Outcome::Work
    ));
    assert!(other.try_recv().is_err());
    assert!(matches!(ledger.work(2).unwrap().job, Job::Edit(_, Some(_))));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_reply_is_refused_and_the_user_hears_of_it() {
    let transcoder = Transcoder::new();
    let replies = Replies::new(&transcoder);
    let ledger = ledger(10);
    let failed = Answer {
        type_name: "gateway.v1.Error".to_owned(),
        body: Error::default().encode_to_vec().into(),
        ..Answer::default()
    };
    let garbage = Answer {
        body: bytes::Bytes::from_static(b"\xff\xff"),
        ..answer("a", "")
    };
    let stray = Answer {
        body: [&answer("a", "x").body[..], &[0xf8, 0x7f, 1]]
            .concat()
            .into(),
        ..answer("a", "")
    };
    let typeless = Answer {
        type_name: String::new(),
        ..answer("a", "x")
    };
    for (id, wrong) in [failed, garbage, stray, typeless].into_iter().enumerate() {
        let id = id as u64;
        let mut first = ledger.open(id, 7, "token", Kind::Command, false).unwrap();
        let outcome = ledger.hear(id, &wrong, &replies);
        assert!(
            matches!(outcome, Outcome::Refused(_, Followed::Nothing)),
            "{outcome:?}"
        );
        assert!(matches!(first.try_recv(), Ok(First::Apology)), "{id}");

        let id = id + 100;
        let _first = ledger.open(id, 7, "token", Kind::Command, false).unwrap();
        ledger.defer(id).unwrap();
        let outcome = ledger.hear(id, &wrong, &replies);
        assert!(
            matches!(outcome, Outcome::Refused(_, Followed::Work)),
            "{outcome:?}"
        );
        assert!(matches!(ledger.work(id).unwrap().job, Job::Apologise(_)));
    }
}

#[tokio::test(start_paused = true)]
async fn all_is_forgotten_when_the_token_ends_and_the_oldest_when_there_is_no_room() {
    let transcoder = Transcoder::new();
    let replies = Replies::new(&transcoder);
    let ledger = ledger(3);
    let unknown = |id| {
        let outcome = ledger.hear(id, &answer("a", "x"), &replies);
        matches!(
            outcome,
            Outcome::Refused(Refusal::Unknown, Followed::Nothing)
        )
    };
    let _first = ledger.open(1, 7, "token", Kind::Command, false).unwrap();
    assert_eq!(
        ledger
            .open(1, 7, "token", Kind::Command, false)
            .unwrap_err(),
        Unfit::Known
    );
    ledger.defer(1);
    assert_eq!(ledger.owing(), 1);
    advance(LIFE - Duration::from_secs(1)).await;
    ledger.sweep();
    assert_eq!(ledger.owing(), 1);
    advance(Duration::from_secs(1)).await;
    ledger.sweep();
    assert_eq!(ledger.owing(), 0);
    assert!(unknown(1));

    let waiting: Vec<_> = (2..5)
        .map(|id| ledger.open(id, 7, "token", Kind::Command, false).unwrap())
        .collect();
    // Discord waits for all of them.
    assert_eq!(
        ledger
            .open(5, 7, "token", Kind::Command, false)
            .unwrap_err(),
        Unfit::Full
    );
    ledger.defer(2);
    let _five = ledger.open(5, 7, "token", Kind::Command, false).unwrap();
    assert!(unknown(2));
    assert_eq!(ledger.owing(), 0);
    drop(waiting);
    ledger.forget(3);
    assert!(unknown(3));
    assert!(!unknown(4));
}

#[tokio::test(start_paused = true)]
async fn at_the_end_those_who_see_that_something_will_come_hear_that_it_will_not() {
    let ledger = ledger(10);
    for (id, kind) in [(1, Kind::Command), (2, Kind::Component)] {
        let _first = ledger.open(id, 7, "token", kind, false).unwrap();
        ledger.defer(id).unwrap();
    }
    let _open = ledger.open(3, 7, "token", Kind::Command, false).unwrap();
    assert_eq!(ledger.part(), [1]);
    assert!(matches!(ledger.work(1).unwrap().job, Job::Apologise(_)));
    assert!(ledger.work(1).is_none());
    assert!(ledger.part().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_reply_after_an_answer_that_nobody_here_has_given_is_what_it_is_after_a_deferral() {
    let transcoder = Transcoder::new();
    let replies = Replies::new(&transcoder);
    let ledger = ledger(10);
    for (id, kind) in [
        (1, Kind::Command),
        (2, Kind::Component),
        (3, Kind::Autocomplete),
    ] {
        let mut first = ledger.open(id, 7, "token", kind, false).unwrap();
        ledger.hear(id, &answer("a", "one"), &replies);
        let Ok(First::Reply(reply)) = first.try_recv() else {
            assert_eq!(kind, Kind::Autocomplete, "this is no answer to it");
            continue;
        };
        ledger.answered(id);
        assert!(matches!(ledger.retake(id, reply), Outcome::Work));
        let job = ledger.work(id).unwrap().job;
        match kind {
            Kind::Command => assert!(matches!(job, Job::Edit(_, Some(_)))),
            _ => assert!(matches!(job, Job::Followup(_, Some(_)))),
        }
        assert!(ledger.work(id).is_none());
    }
    assert_eq!(ledger.owing(), 0);
    let gone = ledger.retake_apology(9);
    assert_eq!(gone, Followed::Nothing, "nobody knows it");
}

#[tokio::test(start_paused = true)]
async fn the_user_hears_that_it_did_not_work_in_place_of_what_another_process_has_deferred() {
    let ledger = ledger(10);
    for (id, kind, followed) in [
        (1, Kind::Command, Followed::Work),
        (2, Kind::Component, Followed::Work),
        (3, Kind::Purchase, Followed::Nothing),
    ] {
        let _first = ledger.open(id, 7, "token", kind, false).unwrap();
        assert_eq!(ledger.retake_apology(id), followed);
    }
    assert!(matches!(ledger.work(1).unwrap().job, Job::Apologise(_)));
    // And nothing of the sort when somebody else has answered.
    let _first = ledger.open(4, 7, "token", Kind::Command, false).unwrap();
    ledger.defer(4).unwrap();
    ledger.settle(4);
    assert!(!ledger.part().contains(&4));
}
