//! Keys in Redis that hold what we did not write.

use store::{Acquired, Error, Fleet, Plan, Saved, Written};

use crate::{
    bench::{Bench, LONG, held, limit, look, replica, session, shard, take},
    server::Server,
};

/// Runs a command by hand; `$key` in it is replaced by the name of the application's key.
fn cli(bench: &Bench, key: &str, command: &str) -> String {
    let command = command.replace("$key", &bench.key(key));
    Server::shared().cli(&format!("{command}\n"))
}

/// All that the key holds.
fn dump(bench: &Bench, key: &str) -> String {
    cli(bench, key, "DUMP $key")
}

#[track_caller]
fn names<T: std::fmt::Debug>(result: Result<T, Error>, key: &str, field: &str) {
    let error = result.unwrap_err();
    assert!(!error.is_transient(), "{error}");
    let said = error.to_string();
    assert!(
        said.contains(key) && said.contains(&format!("field {field},")),
        "{said}"
    );
}

#[tokio::test]
async fn a_key_of_another_type_is_named_and_kept() {
    for name in [
        "leases",
        "sessions",
        "replicas",
        "meta",
        "identifies",
        "buckets",
        "tails",
    ] {
        let bench = Bench::redis();
        let a = bench.application();
        let token = take(&a, shard(0), "a", LONG).await;
        let key = bench.key(name);
        cli(&bench, name, "DEL $key");
        cli(&bench, name, "SET $key foreign");
        let mut failed = Vec::new();
        let mut note = |call: &'static str, error: Option<Error>| {
            if let Some(error) = error {
                let field = if call == "version" { "version" } else { "*" };
                names::<()>(Err(error), &key, field);
                failed.push(call);
            }
        };
        let mine = [held(shard(0), token)];
        let saved = session("s", 1);
        let save = [(shard(0), token, Some(saved.clone()))];
        note("acquire", a.acquire(shard(1), "a", LONG).await.err());
        note("beat", a.beat(&replica("a"), LONG, &mine).await.err());
        note("forget", a.forget(99).await.err());
        note("identify", a.identify(0, &limit(9)).await.err());
        note("leave", a.leave("nobody").await.err());
        let fleet = Fleet::default();
        note("plan", a.plan(&fleet, &Plan::default()).await.err());
        note(
            "put_tail",
            a.put_tail(shard(0), token, b"", LONG).await.err(),
        );
        note("save", a.save(&save).await.err());
        note("tails", a.tails(16).await.err());
        note("version", a.version().await.err());
        note(
            "release",
            a.release(shard(0), token, Some(&saved), None).await.err(),
        );
        let expected: &[&str] = match name {
            "leases" => &["acquire", "beat", "forget", "put_tail", "save", "release"],
            "sessions" => &["acquire", "forget", "save", "release"],
            "replicas" => &["beat", "leave"],
            "identifies" | "buckets" => &["identify"],
            "tails" => &["forget", "put_tail", "tails"],
            _ => &[
                "acquire", "beat", "forget", "identify", "leave", "plan", "put_tail", "save",
                "tails", "version", "release",
            ],
        };
        assert_eq!(failed, expected, "{name}");
        assert_eq!(cli(&bench, name, "GET $key").trim(), "foreign");
    }
}

#[tokio::test]
async fn a_session_that_is_none_is_for_the_owner_to_decide() {
    for text in [
        "null",
        "{}",
        "{\"id\":1}",
        "\\xff\\xfe",
        "",
        "{\"id\":\"a\",\"resume_url\":\"b\",\"sequence\":-1}",
    ] {
        let bench = Bench::redis();
        let a = bench.application();
        let quoted = text.replace('"', "\\\"");
        cli(&bench, "sessions", &format!("HSET $key 0/16 \"{quoted}\""));
        let before = dump(&bench, "sessions");
        let Acquired::Taken {
            token,
            session: saved,
        } = a.acquire(shard(0), "a", LONG).await.unwrap()
        else {
            panic!("nobody holds the shard");
        };
        let Saved::Corrupt { key, field, reason } = saved else {
            panic!("{text}: {saved:?}");
        };
        assert_eq!((key, field.as_str()), (bench.key("sessions"), "0/16"));
        assert!(!reason.is_empty());
        assert_eq!(dump(&bench, "sessions"), before, "it is left as it is");
        // Another shard is not disturbed, and the owner may save over it.
        let other = take(&a, shard(1), "a", LONG).await;
        let both = [
            (shard(0), token, Some(session("new", 1))),
            (shard(1), other, Some(session("other", 1))),
        ];
        assert_eq!(a.save(&both).await.unwrap(), []);
        let Acquired::Taken { session: saved, .. } = a.acquire(shard(0), "a", LONG).await.unwrap()
        else {
            panic!("it is its own");
        };
        assert_eq!(saved, Saved::Some(session("new", 1)));
    }
}

#[tokio::test]
async fn a_lease_that_is_none_disturbs_no_other_shard() {
    for text in [
        "x",
        "1 2",
        "-1 0 live a",
        "1e3 0 live a",
        "9999999999999999 1 live a",
    ] {
        let bench = Bench::redis();
        let a = bench.application();
        let tokens = [
            take(&a, shard(0), "a", LONG).await,
            take(&a, shard(1), "a", LONG).await,
        ];
        cli(&bench, "leases", &format!("HSET $key 0/16 \"{text}\""));
        let key = bench.key("leases");
        names(a.acquire(shard(0), "b", LONG).await, &key, "0/16");
        names(
            a.release(shard(0), tokens[0], None, None).await,
            &key,
            "0/16",
        );
        names(
            a.put_tail(shard(0), tokens[0], b"", LONG).await,
            &key,
            "0/16",
        );
        let mine = [held(shard(0), tokens[0]), held(shard(1), tokens[1])];
        let fleet = a.beat(&replica("a"), LONG, &mine).await.unwrap();
        assert_eq!(fleet.lost, []);
        assert_eq!(fleet.leases.len(), 1);
        assert_eq!(fleet.corrupt.len(), 1);
        assert!(fleet.corrupt[0].contains(&key), "{:?}", fleet.corrupt);
        let both = [
            (shard(0), tokens[0], Some(session("x", 1))),
            (shard(1), tokens[1], Some(session("y", 1))),
        ];
        names(a.save(&both).await, &key, "0/16");
        assert_eq!(cli(&bench, "leases", "HGET $key 0/16").trim(), text);
        let saved = cli(&bench, "sessions", "HKEYS $key");
        assert_eq!(saved.trim(), "1/16", "the others are saved");
        // The operator has deleted it.
        cli(&bench, "leases", "HDEL $key 0/16");
        let fleet = a.beat(&replica("a"), LONG, &mine).await.unwrap();
        assert_eq!((fleet.lost.len(), fleet.leases.len()), (0, 2));
        let released = a.release(shard(0), tokens[0], None, None).await.unwrap();
        assert_eq!(released, Written::Done);
    }
}

#[tokio::test]
async fn a_lease_with_an_unknown_status_or_shard_is_told() {
    let bench = Bench::redis();
    let a = bench.application();
    cli(
        &bench,
        "leases",
        "HSET $key 0/16 \"1 2 strange a\" 17/16 \"1 2 live a\" x \"1 2 live a\"",
    );
    let fleet = look(&a).await;
    assert_eq!((fleet.leases.len(), fleet.corrupt.len()), (0, 3));
    take(&a, shard(0), "a", LONG).await;
}

#[tokio::test]
async fn a_replica_or_plan_that_is_none_is_told_and_kept() {
    let bench = Bench::redis();
    let a = bench.application();
    look(&a).await;
    for (name, field, text) in [
        ("replicas", "b", "soon {}"),
        ("replicas", "b", "99999999999999 {}"),
        ("replicas", "b", "\\xff"),
        ("meta", "plan", "x"),
        ("meta", "plan", "1 {}"),
        ("meta", "plan", "\\xff"),
    ] {
        let set = cli(&bench, name, &format!("HSET $key {field} \"{text}\""));
        let before = cli(&bench, name, &format!("HGET $key {field}"));
        let fleet = look(&a).await;
        assert_eq!((fleet.replicas.len(), &fleet.plan), (1, &None), "{set}");
        assert_eq!(fleet.corrupt.len(), 1, "{:?}", fleet.corrupt);
        let said = &fleet.corrupt[0];
        assert!(
            said.contains(&bench.key(name)) && said.contains(field),
            "{said}"
        );
        if name == "meta" {
            names(
                a.plan(&fleet, &Plan::default()).await,
                &bench.key(name),
                field,
            );
        }
        assert_eq!(cli(&bench, name, &format!("HGET $key {field}")), before);
        cli(&bench, name, &format!("HDEL $key {field}"));
    }
}

#[tokio::test]
async fn numbers_that_are_none_are_named_and_kept() {
    for (name, field) in [
        ("meta", "format"),
        ("meta", "born"),
        ("meta", "version"),
        ("buckets", "0"),
        ("buckets", "foreign"),
    ] {
        for text in ["2", "x", "-1", "1.5", "99999999999999999999"] {
            if text == "2" && field != "format" {
                continue;
            }
            let bench = Bench::redis();
            let a = bench.application();
            a.identify(0, &limit(9)).await.unwrap();
            cli(&bench, name, &format!("HSET $key {field} {text}"));
            let before = (dump(&bench, "meta"), dump(&bench, "buckets"));
            names(a.identify(0, &limit(9)).await, &bench.key(name), field);
            if name == "meta" {
                names(
                    a.acquire(shard(0), "a", LONG).await,
                    &bench.key(name),
                    field,
                );
                let beat = a.beat(&replica("a"), LONG, &[]).await;
                names(beat, &bench.key(name), field);
            }
            assert_eq!((dump(&bench, "meta"), dump(&bench, "buckets")), before);
        }
    }
}

#[tokio::test]
async fn somebody_elses_hash_is_not_taken_for_ours() {
    let bench = Bench::redis();
    let a = bench.application();
    cli(&bench, "meta", "HSET $key colour blue");
    names(
        a.acquire(shard(0), "a", LONG).await,
        &bench.key("meta"),
        "format",
    );
    assert_eq!(cli(&bench, "meta", "HLEN $key").trim(), "1");
}

#[tokio::test]
async fn an_operator_can_read_the_keys() {
    let bench = Bench::redis();
    let a = bench.application();
    a.beat(&replica("gateway-1"), LONG, &[]).await.unwrap();
    let token = take(&a, shard(3), "gateway-1", LONG).await;
    let fleet = a
        .beat(&replica("gateway-1"), LONG, &[held(shard(3), token)])
        .await;
    fleet.unwrap();
    a.save(&[(shard(3), token, Some(session("abc", 7)))])
        .await
        .unwrap();
    let lease = cli(&bench, "leases", "HGET $key 3/16");
    assert!(lease.starts_with(&token.to_string()), "{lease}");
    assert!(lease.trim().ends_with(" live gateway-1"), "{lease}");
    let session = cli(&bench, "sessions", "HGET $key 3/16");
    assert_eq!(
        session.trim(),
        r#"{"id":"abc","resume_url":"wss://gateway-us-east1-b.discord.gg","sequence":7}"#
    );
    let replica = cli(&bench, "replicas", "HGET $key gateway-1");
    let said = r#"{"started_at_ms":7,"shard_ids":null,"shard_count":null,"leaving":false}"#;
    assert!(replica.trim().ends_with(said), "{replica}");
}
