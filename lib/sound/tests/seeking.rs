//! Places in a track.

use sound::{Error, Source};

use crate::hear::{Player, media, sources, wav};

const FORMATS: [&str; 9] = [
    "tone.flac",
    "tone.m4a",
    "tone.mkv",
    "tone.mp3",
    "tone.mp4",
    "tone.ogg",
    "tone.opus",
    "tone.webm",
    "tone-60ms.ogg",
];

async fn player(content: Vec<u8>) -> Player {
    let opened = sources().open(Source::Data(content.into())).await;
    Player::new(opened.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_track_goes_on_and_back() {
    for name in FORMATS {
        let mut player = player(media(name)).await;
        player.some(4800).await;
        for (to, left) in [(1.0, 1.0), (0.2, 1.8), (1.5, 0.5), (0.0, 2.0)] {
            let reached = player.seek(to);
            assert_eq!(player.health.refused_seek(), None, "{name}");
            assert!((reached - to).abs() < 0.1, "{name}: {to} {reached}");
            let heard = player.all().await;
            assert!(
                (heard.seconds() - left).abs() < 0.15,
                "{name}: {to} {}",
                heard.seconds()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_after_the_end_leaves_the_track_where_it_is() {
    for name in FORMATS {
        let mut player = player(media(name)).await;
        let heard = player.some(24_000).await.seconds();
        let reached = player.seek(7.0);
        assert!((reached - heard).abs() < 0.1, "{name}: {reached} {heard}");
        let error = player.health.refused_seek().unwrap();
        assert!(
            matches!(error, Error::PastEnd(Some(_))),
            "{name}: {error:?}"
        );
        assert_eq!(player.health.refused_seek(), None, "it is told once");
        let rest = player.all().await.seconds();
        assert!((rest + heard - 2.0).abs() < 0.15, "{name}: {rest}");
        assert_eq!(player.health.failure(), None, "{name}");
    }
}

/// A file whose beginning says that it is longer than it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_a_file_only_claims_to_have_leaves_the_track_where_it_is() {
    let mut content = wav(48_000, 48_000 * 4);
    content.truncate(48_000 * 4);
    let mut player = player(content).await;
    player.some(9600).await;
    let reached = player.seek(3.5);
    assert!((reached - 0.2).abs() < 0.1, "{reached}");
    assert!(player.health.refused_seek().is_some());
    let rest = player.all().await.seconds();
    assert!((rest - 1.8).abs() < 0.15, "{rest}");
}
