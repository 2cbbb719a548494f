//! Ops 3, 4, 8, 31 and 43.

use serde_json::{Value, json};
use sim::{Config, Kind, Sim};

use crate::client::{Client, kinds, quick, start, wait_for_kinds};

async fn setup(members: u32) -> (Sim, Client, String) {
    let sim = start(Config {
        guild_members: members,
        guilds: 1,
        ..quick()
    })
    .await;
    let mut client = Client::ready(&sim, [0, 1]).await;
    client.event("GUILD_CREATE").await;
    let guild = sim.guild_ids()[0].to_string();
    (sim, client, guild)
}

async fn ask(client: &mut Client, op: u64, d: Value) {
    client.send(&json!({"op": op, "d": d})).await;
}

#[tokio::test]
async fn joining_a_channel_gives_state_and_server() {
    let (sim, mut client, guild) = setup(3).await;
    let d = json!({"guild_id": guild, "channel_id": "5", "self_mute": true, "self_deaf": false});
    ask(&mut client, 4, d).await;
    let state = client.event("VOICE_STATE_UPDATE").await;
    assert_eq!(
        (&state["d"]["channel_id"], &state["d"]["self_mute"]),
        (&json!("5"), &json!(true))
    );
    let server = client.event("VOICE_SERVER_UPDATE").await;
    assert_eq!(server["d"]["guild_id"], guild);
    let status = json!({"status": "dnd", "since": null, "activities": [], "afk": false});
    ask(&mut client, 3, status).await;
    let seq = json!(client.seq);
    ask(&mut client, 1, seq).await;
    client.op(11).await;
    assert_eq!(kinds(&sim), []);
}

#[tokio::test]
async fn all_members_come_in_chunks_and_not_too_often() {
    let (sim, mut client, guild) = setup(2500).await;
    let d = json!({"guild_id": guild, "query": "", "limit": 0, "nonce": "abc"});
    ask(&mut client, 8, d.clone()).await;
    let mut members = 0;
    for index in 0..3 {
        let chunk = client.event("GUILD_MEMBERS_CHUNK").await;
        assert_eq!(chunk["d"]["chunk_index"], index);
        assert_eq!(chunk["d"]["chunk_count"], 3);
        assert_eq!(chunk["d"]["nonce"], "abc");
        members += chunk["d"]["members"].as_array().unwrap().len();
    }
    assert_eq!(members, 2500);
    ask(&mut client, 8, d).await;
    let limited = client.event("RATE_LIMITED").await;
    assert_eq!(limited["d"]["opcode"], 8);
    assert_eq!(
        limited["d"]["meta"],
        json!({"guild_id": guild, "nonce": "abc"})
    );
    assert!((0.0..=30.0).contains(&limited["d"]["retry_after"].as_f64().unwrap()));
    wait_for_kinds(&sim, &[Kind::MembersRequest]).await;
}

#[tokio::test]
async fn members_are_found_by_id_and_by_name() {
    let (_sim, mut client, guild) = setup(50).await;
    let known = (guild.parse::<u64>().unwrap() + 1000).to_string();
    let long = "x".repeat(33);
    let ids = json!([known, "99999999999999999", "12"]);
    ask(
        &mut client,
        8,
        json!({"guild_id": guild, "user_ids": ids, "nonce": long}),
    )
    .await;
    let chunk = client.event("GUILD_MEMBERS_CHUNK").await;
    assert_eq!(chunk["d"]["members"].as_array().unwrap().len(), 1);
    assert_eq!(chunk["d"]["not_found"], json!(["99999999999999999", 12]));
    assert!(chunk["d"].get("nonce").is_none());
    let name = chunk["d"]["members"][0]["user"]["username"]
        .as_str()
        .unwrap();
    let query = json!({"guild_id": [guild], "query": &name[..3], "limit": 5});
    ask(&mut client, 8, query).await;
    let chunk = client.event("GUILD_MEMBERS_CHUNK").await;
    let found = chunk["d"]["members"].as_array().unwrap();
    assert!(!found.is_empty() && found.len() <= 5);
}

#[tokio::test]
async fn sounds_and_channel_info_are_answered() {
    let (sim, mut client, guild) = setup(3).await;
    ask(&mut client, 31, json!({"guild_ids": [guild, "1"]})).await;
    let sounds = client.event("SOUNDBOARD_SOUNDS").await;
    assert_eq!(sounds["d"]["guild_id"], guild);
    let d = json!({"guild_id": guild, "fields": ["status", "voice_start_time"]});
    ask(&mut client, 43, d).await;
    let info = client.event("CHANNEL_INFO").await;
    assert!(info["d"]["channels"][0]["voice_start_time"].is_u64());
    assert_eq!(kinds(&sim), []);
}
