//! Voice calls: one holder for each, and what the next one gets.

use store::{AcquiredCall, Calls, HeldCall, Node, Nodes, Written};
use tokio::time::{Duration, sleep};

use crate::bench::{APPLICATION, Bench, LONG, SHORT};

const GUILD: u64 = 197_038_439_483_310_086;

/// A store that processes share, and two of them.
fn two() -> (Bench, Calls, Calls) {
    let bench = Bench::redis();
    let calls = || bench.store().calls(APPLICATION);
    let (a, b) = (calls(), calls());
    (bench, a, b)
}

fn node(id: &str) -> Node {
    Node {
        id: id.to_owned(),
        calls: 1,
        room: 9,
    }
}

fn held(token: u64, position: u64) -> HeldCall {
    HeldCall {
        guild_id: GUILD,
        token,
        position,
    }
}

/// Takes the call of the guild; its token, and what was saved.
async fn take(calls: &Calls, node: &str, ttl: Duration) -> (u64, Option<(Vec<u8>, u64)>) {
    match calls.acquire(GUILD, node, ttl).await.unwrap() {
        AcquiredCall::Taken { token, saved } => (
            token,
            saved.map(|(state, position)| (state.to_vec(), position)),
        ),
        AcquiredCall::Held { by } => panic!("{by} holds it"),
    }
}

/// Two that share a store, and the token of a call of the first, whose lease has run out.
async fn ran_out() -> (Bench, Calls, Calls, u64) {
    let (bench, a, b) = two();
    let (token, _) = take(&a, "a", SHORT).await;
    a.save(GUILD, token, b"state").await.unwrap();
    while beat(&b, "b", LONG, &[]).await.free.is_empty() {
        sleep(Duration::from_millis(10)).await;
    }
    (bench, a, b, token)
}

async fn beat(calls: &Calls, id: &str, ttl: Duration, all: &[HeldCall]) -> Nodes {
    calls.beat(&node(id), ttl, all).await.unwrap()
}

#[tokio::test]
async fn a_call_has_one_holder_and_goes_on_at_the_next() {
    let (_bench, a, b) = two();
    let (token, saved) = take(&a, "a", LONG).await;
    assert_eq!(saved, None);
    let other = b.acquire(GUILD, "b", LONG).await.unwrap();
    assert_eq!(other, AcquiredCall::Held { by: "a".to_owned() });
    assert!(!b.exists(GUILD).await.unwrap());
    assert_eq!(
        a.save(GUILD, token, b"\xffstate").await.unwrap(),
        Written::Done
    );
    assert!(b.exists(GUILD).await.unwrap());
    assert_eq!(beat(&b, "b", LONG, &[]).await.free, [0; 0]);

    let before = a.version().await.unwrap();
    let handed = a.release(GUILD, token, Some((b"\xfflast", 1_500))).await;
    assert_eq!(handed.unwrap(), Written::Done);
    assert!(b.version().await.unwrap() > before, "the others are told");
    assert_eq!(beat(&b, "b", LONG, &[]).await.free, [GUILD]);
    let (newer, saved) = take(&b, "b", LONG).await;
    assert!(newer > token);
    assert_eq!(saved, Some((b"\xfflast".to_vec(), 1_500)));
    // Who held it before does nothing to it any more.
    assert_eq!(a.save(GUILD, token, b"old").await.unwrap(), Written::Fenced);
    let released = a.release(GUILD, token, None).await.unwrap();
    assert_eq!(released, Written::Fenced);
    let renewed = a.renew(GUILD, token, "a", LONG).await.unwrap();
    assert_eq!(renewed, Written::Fenced);
    assert_eq!(beat(&a, "a", LONG, &[held(token, 0)]).await.lost, [GUILD]);
    assert!(b.exists(GUILD).await.unwrap());
}

#[tokio::test]
async fn the_call_of_a_node_that_is_not_heard_of_is_free_with_its_last_position() {
    let (_bench, a, b) = two();
    let (token, _) = take(&a, "a", SHORT).await;
    a.save(GUILD, token, b"state").await.unwrap();
    beat(&a, "a", SHORT, &[held(token, 42_000)]).await;
    let nodes = beat(&b, "b", LONG, &[]).await;
    let mut alive: Vec<_> = nodes.nodes.iter().map(|node| node.id.as_str()).collect();
    alive.sort_unstable();
    assert_eq!((nodes.free.as_slice(), alive), (&[][..], vec!["a", "b"]));
    while beat(&b, "b", LONG, &[]).await.free.is_empty() {
        sleep(Duration::from_millis(10)).await;
    }
    let (_, saved) = take(&b, "b", LONG).await;
    assert_eq!(saved, Some((b"state".to_vec(), 42_000)));
}

#[tokio::test]
async fn a_lease_that_ran_out_is_good_while_nobody_took_it() {
    let (_bench, a, b, token) = ran_out().await;
    assert_eq!(beat(&a, "a", LONG, &[held(token, 1)]).await.lost, [0; 0]);
    assert_eq!(beat(&b, "b", LONG, &[]).await.free, [0; 0]);
}

#[tokio::test]
async fn a_lease_that_ran_out_can_be_renewed_while_nobody_took_it() {
    let (_bench, a, b, token) = ran_out().await;
    let renewed = a.renew(GUILD, token, "a", LONG).await.unwrap();
    assert_eq!(renewed, Written::Done);
    let other = b.acquire(GUILD, "b", LONG).await.unwrap();
    assert_eq!(other, AcquiredCall::Held { by: "a".to_owned() });
}

#[tokio::test]
async fn a_call_that_has_ended_is_gone_and_nobody_brings_it_back() {
    let (_bench, a, b, old) = ran_out().await;
    let (token, _) = take(&b, "b", LONG).await;
    b.release(GUILD, token, None).await.unwrap();
    assert!(!a.exists(GUILD).await.unwrap());
    assert_eq!(beat(&a, "a", LONG, &[held(old, 5)]).await.lost, [GUILD]);
    assert_eq!(a.save(GUILD, old, b"old").await.unwrap(), Written::Fenced);
    assert!(!a.exists(GUILD).await.unwrap());
    assert_eq!(take(&a, "a", LONG).await.1, None);
}

#[tokio::test]
async fn a_node_that_leaves_is_not_seen_any_more() {
    let (_bench, a, b) = two();
    beat(&a, "a", LONG, &[]).await;
    assert_eq!(beat(&b, "b", LONG, &[]).await.nodes.len(), 2);
    a.leave("a").await.unwrap();
    let nodes = beat(&b, "b", LONG, &[]).await.nodes;
    assert_eq!(nodes, [node("b")]);
}

#[tokio::test]
async fn in_memory_there_is_one_node() {
    let bench = Bench::memory();
    let calls = bench.store().calls(APPLICATION);
    assert!(!calls.is_shared());
    let (one, saved) = take(&calls, "a", SHORT).await;
    assert_eq!(saved, None);
    let (other, _) = take(&calls, "a", SHORT).await;
    assert!(other > one);
    assert!(!calls.exists(GUILD).await.unwrap());
}
