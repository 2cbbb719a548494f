//! Requests that no library sends.

use reqwest::{Body, Method};
use serde_json::json;
use tokio::{io::AsyncReadExt as _, io::AsyncWriteExt as _, net::TcpStream, time};

use super::{PATIENCE, Stage, taken};

#[tokio::test]
async fn odd_requests_are_refused_and_never_reach_discord() {
    let stage = Stage::new(&[]).await;
    let long = format!(
        "GET /api/v10/users/@me HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n",
        "x".repeat(20_000)
    );
    let many = format!(
        "GET /api/v10/users/@me HTTP/1.1\r\nhost: x\r\n{}\r\n",
        "x-a: b\r\n".repeat(200)
    );
    let far = format!("GET /api/v10/{}", "x".repeat(3000));
    let plain = |line: &str| format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    for (request, status) in [
        (plain("GET /api/v10/../../sim/state"), 404),
        (plain("GET /api/v10/channels/../users/@me"), 404),
        (plain("GET /api/v10/%2e%2e/%2E%2E/sim/state"), 404),
        (plain("GET /api/v10/channels/.%2e/x"), 404),
        (plain("GET /api/v10//users/@me"), 404),
        (plain("GET /api/v10/users/@me/"), 404),
        (plain("GET /api/v10/users\\@me"), 404),
        (plain("GET /sim/state"), 404),
        (plain("GET /"), 404),
        (plain(&far), 404),
        (plain("GET /api/v10/users/@me\x01"), 400),
        (plain("GET /api/v10/users/\u{e9}"), 404),
        (plain("GET http://example.com/api/v10/users/@me"), 400),
        (plain("CONNECT example.com:443"), 400),
        (plain("OPTIONS *"), 404),
        (plain("OPTIONS /api/v10/users/@me"), 405),
        (plain("HEAD /api/v10/users/@me"), 405),
        (plain("TRACE /api/v10/users/@me"), 405),
        (plain("get /api/v10/users/@me"), 405),
        ("GET /api/v10/users/@me HTTP/1.1\r\nhost: x\r\n bad header\r\n\r\n".to_owned(), 400),
        ("GET /api/v10/users/@me HTTP/1.1\r\nhost: x\r\norigin: https://x\r\nconnection: close\r\n\r\n".to_owned(), 403),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\u{1}\x03\x03\r\n\r\n".to_owned(), 400),
        (long, 431),
        (many, 431),
    ] {
        let answer = stage.raw(&request).await;
        let shown: String = request.chars().take(80).collect();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {answer}");
    }
    let answer = stage.raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(answer.is_empty(), "HTTP/2 is not spoken: {answer}");
    let reached = stage.sim.requests();
    assert!(reached.is_empty(), "{reached:?}");
    assert_eq!(
        taken(stage.get("/api/v10/users/@me")).await.0,
        200,
        "others are served"
    );
}

#[tokio::test]
async fn a_second_request_cannot_be_hidden_in_the_first() {
    let stage = Stage::new(&[]).await;
    let inner = "DELETE /api/v10/channels/1 HTTP/1.1\r\nhost: x\r\n\r\n";
    let path = format!("/api/v10/channels/{}/messages", stage.channel);
    for lengths in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n".to_owned(),
        format!("content-length: 0\r\ncontent-length: {}\r\n", inner.len()),
        "transfer-encoding: chunked, identity\r\n".to_owned(),
        "transfer-encoding: xchunked\r\n".to_owned(),
        "content-length: +5\r\n".to_owned(),
    ] {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{lengths}\r\n0\r\n\r\n{inner}"
        );
        stage.raw(request).await;
    }
    let hidden: Vec<_> = stage
        .sim
        .requests()
        .into_iter()
        .filter(|request| request.method == "DELETE")
        .collect();
    assert!(hidden.is_empty(), "{hidden:?}");
}

#[tokio::test]
async fn bodies_have_a_length_and_a_time() {
    let stage = Stage::new(&[("API_MAX_BODY", "64KiB")]).await;
    let body = vec![b'x'; 100_000];
    let named = stage
        .request(Method::POST, "/api/v10/channels/1/messages")
        .body(body.clone());
    let (status, headers, answer) = taken(named).await;
    assert_eq!((status, &answer["code"]), (413, &json!(40_005)), "{answer}");
    assert_eq!(headers["x-gateway-error"], "OUT_OF_RANGE");
    let mut chunked = String::from(
        "POST /api/v10/channels/1/messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n",
    );
    chunked.push_str("connection: close\r\n\r\n");
    for _ in 0..10 {
        chunked.push_str(&format!("2710\r\n{}\r\n", "x".repeat(10_000)));
    }
    chunked.push_str("0\r\n\r\n");
    let answer = stage.raw(chunked).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let fits = stage
        .request(Method::POST, "/api/v10/applications/1/x")
        .body(Body::from("{}"));
    assert_eq!(
        taken(fits.header("content-type", "application/json"))
            .await
            .0,
        200
    );

    let half = "POST /api/v10/channels/1/messages HTTP/1.1\r\nhost: x\r\nx-gateway-timeout: 100ms\r\ncontent-length: 9\r\n\r\nhalf";
    let answer = stage.raw(half).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(stage.sim.requests().len(), 1);
}

#[tokio::test]
async fn bodies_do_not_take_more_memory_than_there_is() {
    let stage = Stage::new(&[("API_MAX_BODY", "900KiB"), ("API_WAITING_SIZE", "1MiB")]).await;
    let head =
        "POST /api/v10/channels/1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 800000\r\n\r\n";
    let mut first = TcpStream::connect(stage.address).await.unwrap();
    first.write_all(head.as_bytes()).await.unwrap();
    first.write_all(b"x").await.unwrap();
    // It has taken its room when the second is refused: before that the second finds enough.
    let refused = async {
        loop {
            let body = vec![b'x'; 400_000];
            let second = stage
                .request(Method::POST, "/api/v10/channels/2/messages")
                .body(body);
            let (status, headers, _) = taken(second).await;
            if status == 429 {
                return headers;
            }
        }
    };
    let headers = time::timeout(PATIENCE, refused).await.unwrap();
    assert_eq!(headers["x-gateway-error"], "RESOURCE_EXHAUSTED");
    assert_eq!(
        taken(stage.get("/api/v10/users/@me")).await.0,
        200,
        "what has no body needs no room"
    );
    drop(first);
    let served = async {
        loop {
            let body = vec![b'x'; 400_000];
            let second = stage
                .request(Method::POST, "/api/v10/channels/2/messages")
                .body(body);
            if taken(second).await.0 != 429 {
                return;
            }
        }
    };
    time::timeout(PATIENCE, served).await.unwrap();
}

/// With time paused it runs as soon as nobody has anything to do.
#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_sent_away() {
    let stage = Stage::new(&[]).await;
    for said in ["", "GET /api/v10/users/@me HTTP/1.1\r\nhost:"] {
        let mut stream = TcpStream::connect(stage.address).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408 "),
            "{answer}"
        );
    }
    assert!(stage.sim.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_nobody_who_says_nothing() {
    let stage = Stage::new(&[]).await;
    let mut idle = Vec::new();
    for said in [
        "",
        "GET /api/v10/users/@me HTTP/1.1\r\nhost:",
        "POST /api/v10/channels/1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf",
    ] {
        let mut stream = TcpStream::connect(stage.address).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        idle.push(stream);
    }
    // It is answered by the same task, so the others have been read.
    assert_eq!(taken(stage.get("/api/v10/users/@me")).await.0, 200);
    stage.context.shutdown.cancel();
    stage.context.tasks.join(PATIENCE).await.unwrap();
}
