//! The file of a store in memory.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use futures_util::future::join_all;
use store::{Error, Permit, Place, Plan, Store};

use crate::bench::{APPLICATION, Bench, LONG, limit, look, session, shard, take};

fn path(bench: &Bench) -> PathBuf {
    match &bench.config.place {
        Place::File(path) => path.clone(),
        Place::Memory | Place::Redis(_) => panic!("the store has no file"),
    }
}

#[tokio::test]
async fn what_must_outlive_the_process_does() {
    let bench = Bench::file();
    let a = bench.application();
    let token = take(&a, shard(3), "a", LONG).await;
    let first = session("first", 1);
    a.save(&[(shard(3), token, Some(first))]).await.unwrap();
    let last = session("last", 2);
    a.release(shard(3), token, Some(&last), None).await.unwrap();
    let token = take(&a, shard(4), "a", LONG).await;
    for left in [9, 8] {
        let permit = a.identify(0, &limit(10)).await.unwrap();
        assert_eq!(permit, Permit::Granted { left });
    }
    let plan = Plan {
        current: 16,
        next: Some(32),
        ..Plan::default()
    };
    let plan = a.plan(&look(&a).await, &plan).await.unwrap();
    let tail = b"\x00\x0f\xf0\xff";
    a.put_tail(shard(4), token, tail, LONG).await.unwrap();
    let other = bench.store().application(7);
    let token_of_other = take(&other, shard(3), "a", LONG).await;
    let theirs = [(shard(3), token_of_other, Some(session("theirs", 3)))];
    other.save(&theirs).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;

    let store = Store::open(&bench.config).unwrap();
    assert!(store.outlives_us());
    let a = store.application(APPLICATION);
    let fleet = look(&a).await;
    assert!(plan.is_some());
    assert_eq!(fleet.plan, plan);
    assert_eq!(fleet.leases, [], "who held them is gone");
    let tails = a.tails(16).await.unwrap();
    assert_eq!(tails.len(), 1);
    assert_eq!(tails[&4][..], tail[..]);
    let taken = a.acquire(shard(3), "b", LONG).await.unwrap();
    assert!(format!("{taken:?}").contains("last"), "{taken:?}");
    assert!(take(&a, shard(4), "b", LONG).await > token);
    let permit = a.identify(0, &limit(1_000)).await.unwrap();
    assert_eq!(permit, Permit::Granted { left: 1_000 - 3 });
    let theirs = store.application(7).acquire(shard(3), "b", LONG).await;
    assert!(format!("{theirs:?}").contains("theirs"), "{theirs:?}");
}

#[tokio::test]
async fn a_restart_does_not_shorten_the_pause_between_identifies() {
    let bench = Bench::file().paced(LONG, LONG);
    let permit = bench.application().identify(0, &limit(10)).await.unwrap();
    assert_eq!(permit, Permit::Granted { left: 9 });
    let store = Store::open(&bench.config).unwrap();
    let a = store.application(APPLICATION);
    let permit = a.identify(0, &limit(10)).await.unwrap();
    assert!(matches!(permit, Permit::Wait(_)), "{permit:?}");
}

#[tokio::test]
async fn what_was_confirmed_is_in_the_file() {
    let bench = Bench::file();
    let a = bench.application();
    let mut tokens = Vec::new();
    for id in 0..16 {
        tokens.push(take(&a, shard(id), "a", LONG).await);
    }
    for sequence in 0..10 {
        let save = |id: u32| {
            let save = [(shard(id), tokens[id as usize], Some(session("s", sequence)))];
            let (a, bench) = (&a, &bench);
            async move {
                a.save(&save).await.unwrap();
                let text = fs::read_to_string(path(bench)).unwrap();
                let value: serde_json::Value = serde_json::from_str(&text).unwrap();
                let session = &value["applications"]["42"]["sessions"][format!("{id}/16")];
                assert_eq!(session["sequence"], sequence, "{text}");
            }
        };
        join_all((0..16).map(save)).await;
    }
    let mode = fs::metadata(path(&bench)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "a session is as good as a login");
}

#[tokio::test]
async fn a_file_of_something_else_is_refused_and_kept() {
    let bench = Bench::file();
    let path = path(&bench);
    for text in [
        "",
        "{",
        "null",
        r#"{"format": 2, "applications": {}}"#,
        r#"{"format": 1}"#,
        r#"{"format": 1, "applications": {"x": {}}}"#,
        r#"{"format": 1, "applications": {"42": {"born": 1, "identifies": [], "plan": null,
            "sessions": {"16/16": {"id": "", "resume_url": "", "sequence": 1}}}}}"#,
        r#"{"format": 1, "applications": {"42": {"born": 1, "identifies": [], "plan": null,
            "sessions": {}, "tails": {"1/16": {"until": 1, "events": "0g"}}}}}"#,
        r#"{"format": 1, "applications": {"42": {"born": 1, "identifies": [], "plan": null,
            "sessions": {}, "tails": {"1/16": {"until": 1, "events": "0ff"}}}}}"#,
        r#"{"application_id": 42, "sessions": {}}"#,
    ] {
        fs::write(&path, text).unwrap();
        let error = Store::open(&bench.config).unwrap_err();
        assert!(matches!(error, Error::FileContent { .. }), "{error:?}");
        assert!(!error.is_transient());
        assert!(error.to_string().contains("state.json"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_an_error_that_names_it() {
    let mut bench = Bench::file();
    let folder = bench.folder.as_ref().unwrap().path().to_owned();
    bench.config.place = Place::File(folder.clone());
    let error = Store::open(&bench.config).unwrap_err();
    assert!(error.to_string().starts_with("cannot read"), "{error}");

    bench.config.place = Place::File(folder.join("none").join("state.json"));
    let a = Store::open(&bench.config).unwrap().application(APPLICATION);
    let token = take(&a, shard(0), "a", LONG).await;
    let save = [(shard(0), token, Some(session("s", 1)))];
    let error = a.save(&save).await.unwrap_err();
    assert!(error.is_transient());
    let said = error.to_string();
    assert!(
        said.starts_with("cannot write") && said.contains("none/state.json"),
        "{said}"
    );
    fs::create_dir(folder.join("none")).unwrap();
    a.save(&save).await.unwrap();
    assert!(folder.join("none").join("state.json").exists());
}
