//! HELLO to Session Description, and all the reasons to refuse a client.

use serde_json::{Value, json};
use sim_voice::{Kind, Target, Times};

use crate::client::{Client, GUILD, OTHER, PATIENCE, Received, USER, grant, kinds, start};

const AES: &str = "aead_aes256_gcm_rtpsize";

#[tokio::test]
async fn version_8_numbers_what_it_sends() {
    let server = start(|settings| settings.dave_version = 1).await;
    let mut client = Client::connect(&server, "?v=8").await;
    client.identify(USER, 1).await;
    let ready = client.op(2).await;
    assert_eq!(ready["seq"], 0);
    let modes = json!([AES, "aead_xchacha20_poly1305_rtpsize"]);
    assert_eq!(ready["d"]["modes"], modes);
    let data = json!({"address": "127.0.0.1", "port": 9, "mode": AES});
    client
        .send(1, json!({"protocol": "udp", "data": data}))
        .await;
    let description = client.op(4).await;
    assert_eq!(
        (
            &description["seq"],
            &description["d"]["dave_protocol_version"]
        ),
        (&json!(1), &json!(1))
    );
    let connect = client.op(11).await;
    assert_eq!(connect["d"]["user_ids"], json!([OTHER.to_string()]));
    let Received::Binary(sender) = client.receive().await else {
        panic!("no external sender");
    };
    assert_eq!(sender[..3], [0, 3, 25]);
    client.send(3, json!({"t": 1234, "seq_ack": 3})).await;
    let ack = client.op(6).await;
    assert_eq!(
        (&ack["d"], &ack["seq"]),
        (&json!({"t": 1234}), &Value::Null)
    );
    assert_eq!(kinds(&server), []);
}

#[tokio::test]
async fn version_4_has_no_numbers() {
    let server = start(|_| {}).await;
    let mut client = Client::connect(&server, "?v=4").await;
    client.send(3, json!(77)).await;
    assert_eq!(client.op(6).await["d"], 77);
    client.identify(USER, 0).await;
    assert_eq!(client.op(2).await["seq"], Value::Null);
    client.send(3, json!({"t": 1, "seq_ack": 3})).await;
    assert_eq!(client.closed().await, Some(4002));
    assert_eq!(kinds(&server), [Kind::Heartbeat]);
}

#[tokio::test]
async fn old_versions_are_refused() {
    let server = start(|_| {}).await;
    for query in ["", "?v=3", "?v=9", "?w=8"] {
        let mut client = Client::open(&server, query).await;
        assert_eq!(client.closed().await, Some(4020), "{query}");
    }
    assert_eq!(kinds(&server), [Kind::Version; 4]);
}

#[tokio::test]
async fn what_discord_refuses_is_refused() {
    let server = start(|_| {}).await;
    let good = json!({
        "server_id": GUILD.to_string(), "user_id": USER.to_string(),
        "session_id": grant(USER).session_id, "token": grant(USER).token,
    });
    let but = |key: &str, value: &str| {
        let mut d = good.clone();
        d[key] = json!(value);
        json!({"op": 0, "d": d}).to_string()
    };
    for (text, code, kind) in [
        ("nothing".to_owned(), 4002, Kind::Payload),
        (r#"{"op":0,"d":{}}"#.to_owned(), 4002, Kind::Payload),
        (r#"{"op":2,"d":{}}"#.to_owned(), 4001, Kind::Payload),
        (
            r#"{"op":5,"d":{"speaking":1}}"#.to_owned(),
            4003,
            Kind::Payload,
        ),
        (but("token", "x"), 4004, Kind::Identify),
        (but("session_id", "x"), 4006, Kind::Identify),
        (but("server_id", "9"), 4011, Kind::Identify),
        (but("user_id", "9"), 4011, Kind::Identify),
    ] {
        let mut client = Client::connect(&server, "?v=8").await;
        client.send_text(text.clone()).await;
        assert_eq!(client.closed().await, Some(code), "{text}");
        assert_eq!(kinds(&server), [kind], "{text}");
        server.clear_violations();
    }
}

#[tokio::test]
async fn an_identified_client_can_make_mistakes_too() {
    let server = start(|_| {}).await;
    let data = |mode: &str, address: &str| json!({"address": address, "port": 1, "mode": mode});
    for (op, d, code, kind) in [
        (0, Value::Null, 4005, Kind::Payload),
        (
            1,
            json!({"protocol": "webrtc", "data": data(AES, "127.0.0.1")}),
            4012,
            Kind::Select,
        ),
        (
            1,
            json!({"protocol": "udp", "data": data("xsalsa20_poly1305", "127.0.0.1")}),
            4016,
            Kind::Select,
        ),
        (
            1,
            json!({"protocol": "udp", "data": data(AES, "here")}),
            4020,
            Kind::Select,
        ),
        (5, json!({"speaking": 1, "ssrc": 0}), 4020, Kind::Speaking),
    ] {
        let mut client = Client::connect(&server, "?v=8").await;
        client.identify(USER, 1).await;
        client.op(2).await;
        if d.is_null() {
            client.identify(USER, 1).await;
        } else {
            client.send(op, d).await;
        }
        assert_eq!(client.closed().await, Some(code), "{op}");
        assert_eq!(kinds(&server), [kind], "{op}");
        server.clear_violations();
    }
    let ended: Vec<Option<u16>> = server
        .state()
        .clients
        .iter()
        .map(|client| client.ended)
        .collect();
    assert_eq!(ended, [4005, 4012, 4016, 4020, 4020].map(Some));
}

#[tokio::test]
async fn a_client_without_dave_is_refused_where_it_is_required() {
    let server = start(|settings| settings.dave_version = 1).await;
    let mut client = Client::connect(&server, "?v=8").await;
    client.identify(USER, 0).await;
    assert_eq!(client.closed().await, Some(4017));
    server.change_settings(|settings| settings.dave_required = false);
    let mut client = Client::connect(&server, "?v=8").await;
    client.identify(USER, 0).await;
    client.op(2).await;
    let data = json!({"address": "127.0.0.1", "port": 9, "mode": AES});
    client
        .send(1, json!({"protocol": "udp", "data": data}))
        .await;
    assert_eq!(client.op(4).await["d"]["dave_protocol_version"], 0);
    assert_eq!(kinds(&server), []);
}

#[tokio::test]
async fn dave_must_be_real() {
    let server = start(|settings| settings.dave_version = 1).await;
    let mut client = Client::join(&server, USER, AES).await;
    for bad in [vec![26], vec![26, 0, 1, 0, 5, 9, 9], vec![28, 1, 2, 3]] {
        client.send_binary(bad).await;
    }
    let broken = |state: &sim_voice::State| state.violation_count == 3;
    server
        .wait_for("violations", PATIENCE, broken)
        .await
        .unwrap();
    assert_eq!(kinds(&server), [Kind::Dave; 3]);
    client.send_binary(vec![25]).await;
    assert_eq!(client.closed().await, Some(4001));
}

#[tokio::test]
async fn a_client_without_heartbeats_is_closed() {
    let server = start(|settings| {
        settings.heartbeat_interval_ms = 50;
        settings.heartbeat_grace_ms = Some(50);
    })
    .await;
    let mut client = Client::connect(&server, "?v=8").await;
    client.identify(USER, 1).await;
    assert_eq!(client.closed().await, Some(4009));
    assert_eq!(kinds(&server), [Kind::Heartbeat]);
    assert_eq!(server.state().clients[0].ended, Some(4009));
}

#[tokio::test]
async fn codes_come_by_order() {
    let server = start(|_| {}).await;
    server.close(Target::default(), 4014).unwrap_err();
    for code in [4006, 4009, 4014, 4015, 4021, 4022] {
        let mut client = Client::join(&server, USER, AES).await;
        server.close(Target::default(), 1234).unwrap_err();
        let target = Target {
            guild_id: Some(GUILD),
            user_id: Some(USER),
        };
        assert_eq!(server.close(target, code).unwrap(), 1);
        assert_eq!(client.closed().await, Some(code));
        let state = server.state();
        let lives = state.clients.iter().any(|client| client.ended.is_none());
        assert_eq!(lives, code == 4015, "{code}");
    }
    server.change_faults(|faults| {
        faults.refuse_identify_code = Some(4017);
        faults.refuse_connections = Times::Never;
    });
    let mut client = Client::connect(&server, "?v=8").await;
    client.identify(USER, 1).await;
    assert_eq!(client.closed().await, Some(4017));
}

#[tokio::test]
async fn a_new_token_ends_what_was_before() {
    let server = start(|_| {}).await;
    let mut client = Client::join(&server, USER, AES).await;
    server.allow(grant(USER));
    client.send(3, json!({"t": 1, "seq_ack": 2})).await;
    client.op(6).await;
    let mut moved = grant(USER);
    moved.channel_id += 1;
    moved.token = "another".to_owned();
    server.allow(moved);
    assert_eq!(client.closed().await, Some(4014));
    let mut old = Client::connect(&server, "?v=8").await;
    old.identify(USER, 1).await;
    assert_eq!(old.closed().await, Some(4004));
    server.revoke(GUILD, USER);
    let mut old = Client::connect(&server, "?v=8").await;
    old.identify(USER, 1).await;
    assert_eq!(old.closed().await, Some(4011));
}

#[tokio::test]
async fn those_in_a_call_hear_of_each_other() {
    let server = start(|_| {}).await;
    let mut first = Client::join(&server, USER, AES).await;
    assert_eq!(
        first.op(11).await["d"]["user_ids"],
        json!([OTHER.to_string()])
    );
    let mut second = Client::join(&server, 45, AES).await;
    let there = json!([OTHER.to_string(), USER.to_string()]);
    assert_eq!(second.op(11).await["d"]["user_ids"], there);
    assert_eq!(first.op(11).await["d"]["user_ids"], json!(["45"]));
    second
        .send(5, json!({"speaking": 1, "delay": 0, "ssrc": second.ssrc()}))
        .await;
    let speaking = first.op(5).await["d"].take();
    assert_eq!(
        speaking,
        json!({"user_id": "45", "ssrc": second.ssrc(), "speaking": 1})
    );
    server.seat(grant(USER).channel_id, 50);
    assert_eq!(first.op(11).await["d"]["user_ids"], json!(["50"]));
    server.unseat(grant(USER).channel_id, 50).unwrap();
    assert_eq!(first.op(13).await["d"]["user_id"], "50");
    server.revoke(GUILD, 45);
    assert_eq!(first.op(13).await["d"]["user_id"], "45");
    assert_eq!(server.state().calls[0].users, [OTHER]);
}
