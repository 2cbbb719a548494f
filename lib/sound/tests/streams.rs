//! Sound that comes in pieces.

use std::time::Duration;

use bytes::Bytes;
use sound::{Error, Format, Source, stream};

use crate::{
    hear::{Player, sources},
    ogg,
};

#[tokio::test]
async fn frames_are_heard_in_their_order_and_silence_between_them() {
    let (sender, stream) = stream(Format::Opus);
    let opened = sources().open(Source::Stream(stream)).await.unwrap();
    assert!(!opened.seekable);
    let health = opened.health.clone();
    let mut player = Player::new(opened);
    assert!(player.is_passed_on());
    let frames = ogg::tone(100);
    let bytes = |frames: &[Vec<u8>]| frames.iter().cloned().map(Bytes::from).collect();
    sender.send(0, bytes(&frames[..50]), false).await.unwrap();
    let (listened, ()) = tokio::join!(player.all(), async {
        while health.waited() < Duration::from_millis(100) {
            tokio::task::yield_now().await;
        }
        sender.send(50, bytes(&frames[50..]), true).await.unwrap();
    });
    listened.is_tone(2.0);
    assert_eq!(listened.packets, frames);
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_are_heard_as_they_are() {
    let (sender, stream) = stream(Format::Pcm);
    let mut player = Player::new(sources().open(Source::Stream(stream)).await.unwrap());
    let silent_left: Vec<u8> = [0, 0, 0, 64].repeat(960);
    let frame: Vec<u8> = [0, 64, 0, 0].repeat(960);
    let frames = vec![silent_left.into(), frame.into()];
    sender.send(0, frames, true).await.unwrap();
    let heard = player.all().await.samples;
    assert!(heard[..960].iter().all(|it| *it == 0.0));
    assert!(heard[960..].iter().all(|it| (*it - 0.5).abs() < 0.001));
    let reached = player.seek(1.0);
    assert!((reached - 0.04).abs() < 0.001, "{reached}");
    assert_eq!(player.health.refused_seek(), Some(Error::Unseekable));
}

#[tokio::test]
async fn the_end_of_the_track_is_the_end_of_the_stream() {
    let (sender, stream) = stream(Format::Pcm);
    let opened = sources().open(Source::Stream(stream)).await.unwrap();
    drop(opened);
    let sent = sender.send(0, vec![vec![0; 3840].into()], false).await;
    assert_eq!(sent, Err(Error::Ended));
}
