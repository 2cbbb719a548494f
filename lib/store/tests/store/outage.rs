//! Redis that is away, hangs, refuses, returns, or has lost its data.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use store::{Application, Error, Place, Saved, Store};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep, timeout},
};

use crate::{
    bench::{APPLICATION, Bench, LONG, held, lease_of, look, replica, session, shard, take},
    server::{Server, free_port},
};

/// A whole minute: far more than the two seconds that are promised, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn bench(url: &str) -> Bench {
    Bench::at(Place::Redis(url.into()))
}

/// An error with all its causes, as it comes into the log.
fn said(error: &Error) -> String {
    format!("{} / {error:?}", boot::chain(error))
}

/// Asks until there is an answer.
async fn until_it_answers(application: &Application) {
    let answers = async {
        while let Err(error) = application.version().await {
            assert!(error.is_transient(), "{error:?}");
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, answers).await.expect("it is back");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_away() {
    let url = format!("redis://user:hunter2@127.0.0.1:{}", free_port());
    let a = bench(&url).application();
    let error = a.version().await.unwrap_err();
    assert!(matches!(error, Error::Away { .. }) && error.is_transient());
    assert!(said(&error).contains("REDIS_URL"), "{}", said(&error));
    assert!(!said(&error).contains("hunter2"), "{}", said(&error));
    assert!(!format!("{a:?}").contains("hunter2"), "{a:?}");
}

#[tokio::test]
async fn a_server_that_hangs_holds_nobody() {
    let server = Server::start(&[]);
    let bench = bench(&server.url());
    let connected = bench.application();
    let token = take(&connected, shard(0), "a", LONG).await;
    let fresh = bench.application();
    server.pause();
    let before = Instant::now();
    let calls = (0..40).map(|number| {
        let application = if number % 2 == 0 { &connected } else { &fresh };
        async move { application.acquire(shard(number), "b", LONG).await }
    });
    let calls = timeout(PATIENCE, join_all(calls)).await;
    for result in calls.expect("nobody is held") {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Away { .. }), "{error:?}");
    }
    assert!(before.elapsed() < PATIENCE / 2, "{:?}", before.elapsed());
    server.resume();
    until_it_answers(&connected).await;
    until_it_answers(&fresh).await;
    assert_eq!(lease_of(&fresh, shard(0)).await.unwrap().token, token);
}

#[tokio::test]
async fn a_server_that_returns_is_used_again() {
    let mut server = Server::start(&[]);
    let a = bench(&server.url()).application();
    let token = take(&a, shard(0), "a", LONG).await;
    let last = session("s", 7);
    a.save(&[(shard(0), token, Some(last.clone()))])
        .await
        .unwrap();
    for _ in 0..2 {
        server.kill();
        assert!(a.version().await.is_err());
        server.restart();
        until_it_answers(&a).await;
        let fleet = a.beat(&replica("a"), LONG, &[held(shard(0), token)]).await;
        assert_eq!(fleet.unwrap().lost, []);
    }
    let acquired = a.acquire(shard(0), "a", LONG).await.unwrap();
    assert!(matches!(
        acquired,
        store::Acquired::Taken { session: Saved::Some(session), .. } if session == last
    ));
}

#[tokio::test]
async fn a_server_that_lost_its_data_is_filled_again() {
    let server = Server::start(&[]);
    let bench = bench(&server.url());
    let (a, b) = (bench.application(), bench.application());
    let mine = take(&a, shard(0), "a", LONG).await;
    let taken = take(&a, shard(1), "a", LONG).await;
    while look(&a).await.age < Duration::from_millis(300) {
        sleep(Duration::from_millis(10)).await;
    }
    server.cli("FLUSHALL\nSCRIPT FLUSH\n");
    assert_eq!(a.version().await.unwrap(), 0, "everybody is to beat");
    let fleet = look(&b).await;
    assert!(fleet.age < Duration::from_millis(300), "{:?}", fleet.age);
    assert_eq!(fleet.leases, []);
    let newer = take(&b, shard(1), "b", LONG).await;
    assert!(newer > taken, "{newer} {taken}");
    let both = [held(shard(0), mine), held(shard(1), taken)];
    let fleet = a.beat(&replica("a"), LONG, &both).await.unwrap();
    assert_eq!(fleet.lost, [shard(1)]);
    assert_eq!(lease_of(&b, shard(0)).await.unwrap().token, mine);
}

#[tokio::test]
async fn a_server_that_forgot_the_scripts_gets_them_again() {
    let server = Server::start(&[]);
    let a = bench(&server.url()).application();
    for _ in 0..3 {
        look(&a).await;
        server.cli("SCRIPT FLUSH\n");
    }
}

#[tokio::test]
async fn a_server_that_takes_no_writes_does_so_later() {
    let server = Server::start(&[]);
    let a = bench(&server.url()).application();
    take(&a, shard(0), "a", LONG).await;
    server.cli(&format!("REPLICAOF 127.0.0.1 {}\n", free_port()));
    let error = a.acquire(shard(1), "a", LONG).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    server.cli("REPLICAOF NO ONE\n");
    until_it_answers(&a).await;
    let acquire = async {
        while a.acquire(shard(1), "a", LONG).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, acquire)
        .await
        .expect("it takes writes again");
}

#[tokio::test]
async fn a_dead_server_is_not_hammered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let a = bench(&format!("redis://127.0.0.1:{port}")).application();
    let accepted = AtomicU32::new(0);
    let die = async {
        loop {
            drop(listener.accept().await);
            accepted.fetch_add(1, Ordering::Relaxed);
        }
    };
    let began = Instant::now();
    let ask = async {
        while began.elapsed() < Duration::from_secs(2) {
            assert!(a.version().await.is_err());
            sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = ask => {}
        () = die => unreachable!("it accepts for ever"),
    }
    // Waits of at least 50, 100, 200 and then 250 ms.
    let at_most = 4 + began.elapsed().as_millis() / 250;
    let accepted = accepted.load(Ordering::Relaxed);
    assert!(u128::from(accepted) <= at_most, "{accepted}, not {at_most}");
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_not_shown() {
    let server = Server::start(&["--requirepass", "correct-horse"]);
    let url = |login: &str| format!("redis://{login}127.0.0.1:{}", server.port);
    for login in ["", ":hunter2@", "nobody:hunter2@"] {
        let a = bench(&url(login)).application();
        let error = a.version().await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{login} {error:?}");
        assert!(!error.is_transient());
        let said = said(&error);
        assert!(said.contains("check user and password"), "{said}");
        assert!(
            !said.contains("hunter2") && !said.contains("correct"),
            "{said}"
        );
    }
    let a = bench(&url(":correct-horse@")).application();
    take(&a, shard(0), "a", LONG).await;
}

#[tokio::test]
async fn a_user_needs_the_keys_of_the_prefix_only() {
    let server = Server::start(&[]);
    server.cli(
        "ACL SETUSER gateway on >pw ~mine:* resetchannels -@all +@connection +@scripting \
         +@read +@write +time +type\n",
    );
    let mut bench = bench(&format!("redis://gateway:pw@127.0.0.1:{}/2", server.port));
    let error = bench.application().version().await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    let error = bench.application().acquire(shard(0), "a", LONG).await;
    let error = error.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    bench.config.prefix = "mine".to_owned();
    let a = Store::open(&bench.config).unwrap().application(APPLICATION);
    let token = take(&a, shard(0), "a", LONG).await;
    a.put_tail(shard(0), token, b"t", LONG).await.unwrap();
    look(&a).await;
    a.forget(16).await.unwrap();
}

#[tokio::test]
async fn a_unix_socket_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("redis.sock");
    let socket = socket.to_str().unwrap().to_owned();
    let server = Server::start_in(folder, &["--unixsocket", &socket]);
    let a = bench(&format!("unix://{socket}")).application();
    take(&a, shard(0), "a", LONG).await;
    drop(server);
}
