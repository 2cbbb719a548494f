//! What the main gateway says of voice, and the voice server that it leads to.

use serde_json::{Value, json};
use sim::{Kind, Sim, Times, VoiceOrder};

use crate::client::{Client, http, kinds, quick, start};

async fn setup() -> (Sim, Client, u64) {
    let sim = start(quick()).await;
    let mut client = Client::ready(&sim, [0, 1]).await;
    client.event("GUILD_CREATE").await;
    let guild = sim.guild_ids()[0];
    (sim, client, guild)
}

async fn join(client: &mut Client, guild: u64, channel: Value, mute: bool) {
    let d = json!({
        "guild_id": guild.to_string(), "channel_id": channel, "self_mute": mute, "self_deaf": false,
    });
    client.send(&json!({"op": 4, "d": d})).await;
}

/// The next VOICE_STATE_UPDATE and VOICE_SERVER_UPDATE, in that order.
async fn both(client: &mut Client) -> (Value, Value) {
    let state = client.event("VOICE_STATE_UPDATE").await["d"].take();
    (state, client.event("VOICE_SERVER_UPDATE").await["d"].take())
}

#[tokio::test]
async fn the_endpoint_and_the_token_are_the_voice_servers() {
    let (sim, mut client, guild) = setup().await;
    join(&mut client, guild, json!("5"), false).await;
    let (state, server) = both(&mut client).await;
    assert_eq!(
        (&state["channel_id"], &state["session_id"].is_string()),
        (&json!("5"), &true)
    );
    let [endpoint, other] = sim.voice().endpoints().clone();
    assert_eq!(server["endpoint"], endpoint);
    assert_eq!(sim.urls().voice, format!("wss://{endpoint}"));
    assert!(
        sim.voice()
            .certificate()
            .starts_with("-----BEGIN CERTIFICATE-----")
    );
    // Who stays in the channel gets no new token.
    join(&mut client, guild, json!("5"), true).await;
    let muted = client.event("VOICE_STATE_UPDATE").await["d"].take();
    assert_eq!(
        (&muted["self_mute"], &muted["session_id"]),
        (&json!(true), &state["session_id"])
    );
    assert_eq!(sim.order_voice(guild, VoiceOrder::Move(6)).unwrap(), 1);
    let (state, moved) = both(&mut client).await;
    assert_eq!(
        (&state["channel_id"], &moved["endpoint"]),
        (&json!("6"), &json!(endpoint))
    );
    assert_ne!(moved["token"], server["token"]);
    sim.order_voice(guild, VoiceOrder::LoseServer).unwrap();
    let lost = client.event("VOICE_SERVER_UPDATE").await;
    assert_eq!(lost["d"]["endpoint"], Value::Null);
    sim.order_voice(guild, VoiceOrder::ChangeServer).unwrap();
    let changed = client.event("VOICE_SERVER_UPDATE").await;
    assert_eq!(changed["d"]["endpoint"], other);
    sim.order_voice(guild, VoiceOrder::Mute(true)).unwrap();
    assert_eq!(client.event("VOICE_STATE_UPDATE").await["d"]["mute"], true);
    sim.order_voice(guild, VoiceOrder::Disconnect).unwrap();
    assert_eq!(
        client.event("VOICE_STATE_UPDATE").await["d"]["channel_id"],
        Value::Null
    );
    sim.order_voice(guild, VoiceOrder::Disconnect).unwrap_err();
    assert_eq!(kinds(&sim), []);
}

#[tokio::test]
async fn a_full_channel_says_nothing_and_the_order_is_not_certain() {
    let (sim, mut client, guild) = setup().await;
    sim.change_faults(|faults| {
        faults.voice_full = Times::Next(1);
        faults.voice_server_first = true;
    });
    join(&mut client, guild, json!("5"), false).await;
    join(&mut client, guild, json!("6"), false).await;
    let mut first = client.payload().await;
    while first["t"] == "GUILD_CREATE" {
        first = client.payload().await;
    }
    assert_eq!(first["t"], "VOICE_SERVER_UPDATE");
    assert_eq!(
        client.event("VOICE_STATE_UPDATE").await["d"]["channel_id"],
        "6"
    );
}

#[tokio::test]
async fn the_control_routes_do_the_same() {
    let (sim, mut client, guild) = setup().await;
    join(&mut client, guild, json!("5"), false).await;
    both(&mut client).await;
    let base = format!("{}/voice", sim.control_url());
    let guild = guild.to_string();
    let of_guild = json!({"guild_id": guild});
    let seat = json!({"channel_id": "5", "user_id": "77"});
    let tone = json!({"channel_id": "5", "user_id": "78", "frequency_hz": 440});
    for (path, body, status) in [
        ("mute", json!({"guild_id": guild, "mute": true}), 200),
        ("move", json!({"guild_id": guild, "channel_id": "6"}), 200),
        ("server", json!({"guild_id": guild, "gone": true}), 200),
        ("server", of_guild.clone(), 200),
        ("disconnect", of_guild.clone(), 200),
        ("disconnect", of_guild, 404),
        ("join", seat.clone(), 204),
        ("speak", tone.clone(), 204),
        ("hush", json!({"channel_id": "5", "user_id": "78"}), 204),
        ("dave", json!({"channel_id": "5", "version": 0}), 204),
        ("dave", json!({"channel_id": "5", "version": 2}), 400),
        ("leave", seat.clone(), 204),
        ("leave", seat, 404),
        ("close", json!({"code": 4006}), 404),
        ("drop", json!({}), 404),
        ("settings", json!({"dave_required": false}), 200),
        ("settings", json!({"no_such_setting": false}), 400),
        ("faults", json!({"lose_every": 50}), 200),
    ] {
        let (got, answer) = http("POST", &format!("{base}/{path}"), "", &body.to_string()).await;
        assert_eq!(got, status, "{path} {body}: {answer}");
    }
    let (_, state) = http("GET", &base, "", "").await;
    assert_eq!(state["settings"]["dave_required"], false);
    assert_eq!(state["faults"]["lose_every"], 50);
    assert_eq!(state["calls"][0]["users"], json!([78]));
    http("DELETE", &format!("{base}/faults"), "", "").await;
    assert_eq!(sim.voice().faults(), sim_voice::Faults::default());
    let (status, _) = http("GET", &format!("{base}/certificate"), "", "").await;
    assert_eq!(status, 200);
    assert_eq!(kinds(&sim), []);
}

#[tokio::test]
async fn what_a_voice_client_does_wrong_is_known_here_too() {
    let (sim, _client, _) = setup().await;
    let udp = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    udp.send_to(&[0x80; 40], sim.voice().packets())
        .await
        .unwrap();
    crate::client::wait_for_kinds(&sim, &[Kind::Voice]).await;
    sim.clear_violations();
    assert!(sim.voice().violations().is_empty());
}
