//! What clients send by UDP, and what they get.

use aes_gcm::{AeadInPlace, Aes256Gcm, KeyInit};
use opus2::{Application, Channels, Encoder};
use serde_json::json;
use sim_voice::{Kind, Speak, State, Target};
use tokio::time::timeout;

use crate::client::{CHANNEL, Client, OTHER, PATIENCE, USER, kinds, start};

const AES: &str = "aead_aes256_gcm_rtpsize";

fn cipher(client: &Client) -> Aes256Gcm {
    Aes256Gcm::new((&client.key).into())
}

/// A packet as Discord wants it.
fn packet(client: &Client, number: u16, frame: &[u8]) -> Vec<u8> {
    let mut header = vec![0x80, 0x78];
    header.extend(number.to_be_bytes());
    header.extend((u32::from(number) * 960).to_be_bytes());
    header.extend(client.ssrc().to_be_bytes());
    let counter = u32::from(number).to_be_bytes();
    let mut nonce = [0; 12];
    nonce[..4].copy_from_slice(&counter);
    let mut body = frame.to_vec();
    let tag = cipher(client).encrypt_in_place_detached(&nonce.into(), &header, &mut body);
    [header, body, tag.unwrap().to_vec(), counter.to_vec()].concat()
}

/// The number and the payload of the next packet.
async fn hear(client: &Client) -> (u16, Vec<u8>) {
    let mut bytes = [0; 2000];
    let udp = client.udp.as_ref().unwrap();
    let length = timeout(PATIENCE, udp.recv(&mut bytes))
        .await
        .unwrap()
        .unwrap();
    let (header, rest) = bytes[..length].split_at(12);
    let (rest, counter) = rest.split_at(rest.len() - 4);
    let (body, tag) = rest.split_at(rest.len() - 16);
    let mut nonce = [0; 12];
    nonce[..4].copy_from_slice(counter);
    let mut body = body.to_vec();
    cipher(client)
        .decrypt_in_place_detached(&nonce.into(), header, &mut body, tag.into())
        .unwrap();
    (u16::from_be_bytes([header[2], header[3]]), body)
}

fn frame() -> Vec<u8> {
    let mut encoder = Encoder::new(48_000, Channels::Stereo, Application::Audio).unwrap();
    encoder.encode_vec_float(&[0.1; 1920], 1000).unwrap()
}

async fn say(client: &mut Client, numbers: impl IntoIterator<Item = u16>) {
    let ssrc = client.ssrc();
    client
        .send(5, json!({"speaking": 1, "delay": 0, "ssrc": ssrc}))
        .await;
    client.send(3, json!({"t": 1, "seq_ack": 2})).await;
    client.op(6).await;
    for number in numbers {
        let bytes = packet(client, number, &frame());
        client.udp.as_ref().unwrap().send(&bytes).await.unwrap();
    }
}

#[tokio::test]
async fn packets_are_counted_and_passed_on() {
    let server = start(|_| {}).await;
    let mut client = Client::join(&server, USER, AES).await;
    let other = Client::join(&server, 45, AES).await;
    say(&mut client, [1, 2, 5, 4]).await;
    for number in [1, 2, 5, 4] {
        assert_eq!(hear(&other).await, (number, frame()));
    }
    let state = server.state();
    let heard = &state
        .clients
        .iter()
        .find(|client| client.user_id == USER)
        .unwrap()
        .heard;
    assert_eq!((heard.packets, heard.lost, heard.late), (4, 1, 1));
    assert!((heard.longest_gap_ms - 40.0).abs() < 0.1, "{heard:?}");
    assert_eq!(
        server
            .mute(
                Target {
                    user_id: Some(USER),
                    ..Target::default()
                },
                true
            )
            .unwrap(),
        1
    );
    say(&mut client, [6]).await;
    let came = |state: &State| state.clients.iter().any(|client| client.heard.packets == 5);
    server.wait_for("the packet", PATIENCE, came).await.unwrap();
    server.mute(Target::default(), false).unwrap();
    say(&mut client, [7]).await;
    assert_eq!(hear(&other).await.0, 7, "nothing of what was muted");
    assert_eq!(kinds(&server), []);
}

#[tokio::test]
async fn audio_needs_speaking_first() {
    let server = start(|_| {}).await;
    let mut client = Client::join(&server, USER, AES).await;
    for number in 0..60 {
        let bytes = packet(&client, number, &frame());
        client.udp.as_ref().unwrap().send(&bytes).await.unwrap();
    }
    assert_eq!(client.closed().await, Some(4020));
    assert_eq!(kinds(&server), [Kind::Speaking]);
}

#[tokio::test]
async fn broken_packets_are_noted() {
    let server = start(|_| {}).await;
    let client = Client::join(&server, USER, AES).await;
    let udp = client.udp.as_ref().unwrap();
    let mut forged = packet(&client, 1, &frame());
    forged[20] ^= 1;
    let mut discovery = vec![0, 1, 0, 70, 0, 0, 0, 0];
    discovery.resize(74, 0);
    for bad in [&[0x80; 40][..], &forged, &discovery] {
        udp.send(bad).await.unwrap();
    }
    // The two that are no mistakes.
    udp.send(&[0; 8]).await.unwrap();
    udp.send(&[0x81, 201, 0, 7, 0, 0, 0, 0, 0, 0])
        .await
        .unwrap();
    let noted = |state: &State| state.violation_count == 3;
    server
        .wait_for("violations", PATIENCE, noted)
        .await
        .unwrap();
    assert_eq!(kinds(&server), [Kind::Packet; 3]);
}

#[tokio::test]
async fn a_tone_is_said_and_ends_in_silence() {
    let server = start(|_| {}).await;
    let mut client = Client::join(&server, USER, AES).await;
    client.op(11).await;
    let speak = Speak {
        channel_id: CHANNEL,
        user_id: OTHER,
        frequency_hz: 440,
        duration_ms: Some(200),
    };
    server
        .speak(Speak {
            frequency_hz: 1,
            ..speak
        })
        .unwrap_err();
    server.speak(speak).unwrap();
    assert_eq!(client.op(5).await["d"]["speaking"], 1);
    let (first, _) = hear(&client).await;
    for place in 1..15 {
        let (number, frame) = hear(&client).await;
        assert_eq!(number, first.wrapping_add(place));
        assert_eq!(frame == [0xf8, 0xff, 0xfe], place >= 10, "{place}");
    }
    assert_eq!(client.op(5).await["d"]["speaking"], 0);
    server.hush(CHANNEL, OTHER).unwrap_err();
}

#[tokio::test]
async fn packets_are_lost_and_swapped_on_request() {
    let server = start(|_| {}).await;
    let client = Client::join(&server, USER, AES).await;
    server.change_faults(|faults| {
        faults.lose_every = 5;
        faults.swap_every = 3;
    });
    let speak = Speak {
        channel_id: CHANNEL,
        user_id: OTHER,
        frequency_hz: 440,
        duration_ms: None,
    };
    server.speak(speak).unwrap();
    let mut numbers = Vec::new();
    for _ in 0..7 {
        numbers.push(hear(&client).await.0);
    }
    let first = numbers[0];
    let order: Vec<u16> = numbers
        .iter()
        .map(|number| number.wrapping_sub(first))
        .collect();
    // The third comes after the fourth, the fifth never, the sixth after the seventh.
    assert_eq!(order, [0, 1, 3, 2, 6, 5, 7]);
    server.hush(CHANNEL, OTHER).unwrap();
    assert!(server.state().clients[0].dropped >= 1);
}
