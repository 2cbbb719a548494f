//! What the ear hears of streams with known faults, in paused time.

use std::time::Duration;

use tokio::time::{Instant, advance};

use super::Ear;
use crate::{
    rtp::{Header, SILENCE},
    state::Heard,
    tone,
};

fn header(number: u32) -> Header {
    Header {
        sequence: u16::try_from((65_500 + number) % 65_536).unwrap(),
        timestamp: 4_294_900_000_u32.wrapping_add(number * 960),
        ssrc: 1,
        clear: 12,
        extension: 0,
    }
}

/// Plays the packets of a tone with these numbers, 20 ms apart.
async fn listen(numbers: &[u32]) -> Heard {
    let frames = tone::encode(440).unwrap();
    let mut ear = Ear::new().unwrap();
    for number in numbers {
        let frame = &frames[*number as usize % frames.len()];
        ear.on_frame(Instant::now(), &header(*number), frame, true);
        advance(Duration::from_millis(20)).await;
    }
    let mut heard = ear.heard();
    heard.measure(&ear.samples());
    heard
}

#[tokio::test(start_paused = true)]
async fn a_whole_tone_has_its_pitch_and_no_gap() {
    let heard = listen(&(0..200).collect::<Vec<_>>()).await;
    assert!(
        (heard.frequency_hz.unwrap() - 440.0).abs() < 0.5,
        "{heard:?}"
    );
    assert!(heard.purity.unwrap() > 0.98, "{heard:?}");
    assert_eq!(
        (heard.packets, heard.lost, heard.late, heard.repeated),
        (200, 0, 0, 0)
    );
    assert_eq!((heard.gaps, heard.audio_ms), (0, 4000));
    assert!(
        heard.longest_gap_ms == 0.0 && heard.longest_wait_ms == 20.0,
        "{heard:?}"
    );
    assert!(
        heard.pacing_p99_ms.unwrap() <= 0.2 && heard.drift_ms.unwrap().abs() < 0.1,
        "{heard:?}"
    );
    assert_eq!(heard.overdue, 0);
}

#[tokio::test(start_paused = true)]
async fn a_lost_packet_is_a_gap_of_its_length() {
    let numbers: Vec<u32> = (0..100)
        .filter(|number| ![40, 41].contains(number))
        .collect();
    let heard = listen(&numbers).await;
    assert_eq!((heard.lost, heard.gaps), (2, 1));
    assert!((heard.longest_gap_ms - 40.0).abs() < 0.01, "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn packets_out_of_order_are_late_and_not_lost() {
    let heard = listen(&[0, 1, 3, 2, 4, 4, 5]).await;
    assert_eq!((heard.lost, heard.late, heard.repeated), (0, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_rest_after_silence_is_no_gap() {
    let frames = tone::encode(440).unwrap();
    let mut ear = Ear::new().unwrap();
    for number in 0..10 {
        ear.on_frame(Instant::now(), &header(number), &frames[0], true);
    }
    for number in 10..15 {
        ear.on_frame(Instant::now(), &header(number), &SILENCE, false);
    }
    advance(Duration::from_secs(60)).await;
    let late = Header {
        timestamp: header(3000).timestamp,
        ..header(15)
    };
    ear.on_frame(Instant::now(), &late, &frames[0], true);
    let heard = ear.heard();
    assert_eq!((heard.gaps, heard.silent, heard.unencrypted), (0, 5, 0));
    assert!(heard.longest_wait_ms < 1.0, "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_clock_drifts() {
    let frames = tone::encode(440).unwrap();
    let mut ear = Ear::new().unwrap();
    for number in 0..500 {
        ear.on_frame(Instant::now(), &header(number), &frames[0], true);
        advance(Duration::from_millis(21)).await;
    }
    // It is remembered over a rest.
    ear.on_frame(Instant::now(), &header(500), &SILENCE, false);
    let heard = ear.heard();
    assert!((heard.drift_ms.unwrap() - 450.0).abs() < 2.0, "{heard:?}");
    // The first 21 were at most a packet late.
    assert_eq!(heard.overdue, 479);
    assert!(
        (heard.pacing_p50_ms.unwrap() - 1.0).abs() < 0.2,
        "{heard:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_no_opus_is_counted() {
    let mut ear = Ear::new().unwrap();
    ear.on_frame(Instant::now(), &header(0), &[0xff; 3], true);
    assert_eq!(ear.heard().undecodable, 1);
}
