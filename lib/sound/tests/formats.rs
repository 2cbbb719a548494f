//! Contents of every format, and of none.

use sound::{Error, Source};
use wire::gateway::v1::Code;

use crate::{
    hear::{Player, media, sources, wav},
    ogg,
};

async fn refused(content: Vec<u8>) -> Error {
    let opened = sources().open(Source::Data(content.into())).await;
    opened.unwrap_err()
}

async fn player(content: Vec<u8>) -> Player {
    let opened = sources().open(Source::Data(content.into())).await;
    Player::new(opened.unwrap())
}

#[tokio::test]
async fn every_format_gives_the_tone_its_length_and_its_title() {
    for (name, has_title, has_length) in [
        ("tone.aac", false, true),
        ("tone.flac", true, true),
        ("tone.m4a", true, true),
        ("tone.mkv", false, true),
        ("tone.mp3", true, true),
        ("tone.mp4", true, true),
        ("tone.ogg", true, true),
        ("tone.opus", true, true),
        ("tone.webm", false, true),
        ("tone-10ms.ogg", true, true),
        ("tone-60ms.ogg", true, true),
    ] {
        let opened = sources().open(Source::Data(media(name).into())).await;
        let opened = opened.unwrap_or_else(|error| panic!("{name}: {error}"));
        println!("{name}: {opened:?}");
        assert_eq!(
            opened.title.as_deref(),
            has_title.then_some("Tone"),
            "{name}"
        );
        if has_length {
            let seconds = opened.duration.unwrap().as_secs_f64();
            assert!((seconds - 2.0).abs() < 0.1, "{name}: {seconds}");
        }
        assert!(opened.seekable, "{name}");
        let mut player = Player::new(opened);
        player.all().await.is_tone(2.0);
        assert_eq!(player.health.failure(), None, "{name}");
    }
}

#[tokio::test]
async fn any_rate_and_any_channels_become_those_of_a_call() {
    for rate in [8_000, 11_025, 44_101, 48_000, 192_000] {
        player(wav(rate, rate)).await.all().await.is_tone(1.0);
    }
    let mut six = player(media("tone-5.1.flac")).await;
    six.all().await.is_tone(0.12);
}

#[tokio::test]
async fn packets_of_opus_are_those_of_the_file() {
    let file = media("tone.opus");
    let packets = ogg::packets(&file);
    let mut player = player(file).await;
    assert!(player.is_passed_on());
    let heard = player.all().await;
    assert_eq!(heard.packets, packets[2..]);
}

#[tokio::test]
async fn packets_of_any_length_are_passed_on_in_pieces_of_20_ms() {
    for (name, odd) in [
        ("tone.webm", 0),
        // Its encoder changes the bandwidth after 19 packets, of which one is left alone.
        ("tone-10ms.ogg", 1),
        // Of its packets four are frames of SILK, which cannot be cut; the first of them ends it that packets are passed on.
        ("tone-60ms.ogg", 4),
    ] {
        let mut player = player(media(name)).await;
        assert!(player.is_passed_on(), "{name}");
        let packets = player.all().await.packets;
        for packet in packets.iter().filter(|packet| packet.len() < 1460) {
            assert!(opus2::packet::get_nb_samples(packet, 48_000).unwrap() <= 960);
        }
        let lengths = packets.iter().map(|packet| {
            let samples = opus2::packet::get_nb_samples(packet, 48_000);
            samples.unwrap()
        });
        let lengths: Vec<usize> = lengths.collect();
        let (last, lengths) = lengths.split_last().unwrap();
        let others = lengths.iter().filter(|length| **length != 960).count();
        assert_eq!(others, odd, "{name}: {lengths:?}");
        assert!(*last <= 960, "{name}: {last}");
    }
}

#[tokio::test]
async fn what_is_no_sound_is_refused() {
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".repeat(1000);
    for content in [
        Vec::new(),
        b"<!doctype html>".repeat(1000),
        vec![0; 100_000],
        vec![0xff; 100_000],
        png,
        media("tone.mp3")[..100].to_vec(),
        media("tone.m4a")[..4000].to_vec(),
        media("tone.opus")[..60].to_vec(),
    ] {
        let error = refused(content).await;
        assert_eq!(error.code(), Code::FailedPrecondition, "{error}");
    }
}

#[tokio::test]
async fn what_is_cut_off_is_heard_to_there() {
    for name in ["tone.mp3", "tone.opus", "tone.flac", "tone.aac"] {
        let mut content = media(name);
        content.truncate(content.len() / 4 * 3);
        let heard = player(content).await.all().await;
        assert!(
            (0.5..1.9).contains(&heard.seconds()),
            "{name}: {}",
            heard.seconds()
        );
    }
}

/// Whatever is broken, it ends, and nothing but the track does.
#[tokio::test]
async fn broken_bytes_end_nothing_but_the_track() {
    let mut random = 7_u32;
    let mut next = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        random >> 8
    };
    let sources = sources();
    let names = [
        "tone.mp3",
        "tone.opus",
        "tone.flac",
        "tone.webm",
        "tone.m4a",
        "tone.ogg",
        "tone.aac",
    ];
    let mut played = 0;
    for name in names.iter().cycle().take(140) {
        let mut content = media(name);
        for _ in 0..1 + next() % 20 {
            let place = next() as usize % content.len();
            content[place] = next().to_le_bytes()[0];
        }
        let Ok(opened) = sources.open(Source::Data(content.into())).await else {
            continue;
        };
        let mut player = Player::new(opened);
        player.until_broken().await;
        played += 1;
    }
    assert!(played > 70, "{played}");
}
