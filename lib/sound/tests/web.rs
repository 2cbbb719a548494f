//! Addresses, and what servers do to those who ask.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use boot::Size;
use places::Places;
use sound::{Config, Error, Source, Sources};
use tokio::time::{sleep, timeout};
use wire::gateway::v1::Code;

use crate::{
    hear::{PATIENCE, Player, config, media, sources, wav},
    site::{Answer, Asked, Site, Then, part, plain},
};

async fn player(site: &Site) -> Player {
    let opened = sources().open(Source::Url(site.url("file"))).await;
    Player::new(opened.unwrap())
}

async fn refused(config: Config, url: String) -> Error {
    let sources = Sources::new(config).unwrap();
    sources.open(Source::Url(url)).await.unwrap_err()
}

fn impatient(patience: Duration) -> Config {
    Config {
        source_timeout: patience,
        ..config()
    }
}

async fn until(wanted: impl Fn() -> bool) {
    let looking = async {
        while !wanted() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, looking).await.expect("it comes to that");
}

#[tokio::test]
async fn a_file_that_breaks_off_goes_on_at_the_byte_that_was_reached() {
    let file = media("tone.flac");
    let site = Site::new(move |asked| part(&file, asked, 5000)).await;
    let mut player = player(&site).await;
    player.all().await.is_tone(2.0);
    assert_eq!(player.health.failure(), None);
    let asked = site.asked();
    let from: Vec<usize> = asked.iter().map(|asked| asked.from).collect();
    assert!(from.contains(&5000) && from.contains(&10_000), "{from:?}");
    let later = asked.iter().filter(|asked| asked.from > 0);
    for asked in later {
        assert_eq!(asked.if_range.as_deref(), Some("\"one\""));
    }
}

#[tokio::test]
async fn a_server_that_knows_no_ranges_is_read_again_to_that_byte() {
    let file = media("tone.flac");
    let site = Site::new(move |asked| Answer {
        head: format!("200 OK\r\ncontent-length: {}", file.len()),
        body: file[..if asked.number < 2 { 9000 } else { file.len() }].to_vec(),
        then: Then::Close,
    })
    .await;
    let opened = sources().open(Source::Url(site.url("file"))).await.unwrap();
    assert!(!opened.seekable);
    let mut player = Player::new(opened);
    player.all().await.is_tone(2.0);
    assert_eq!(player.health.failure(), None);
    assert!(site.asked().len() >= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_is_asked_for() {
    let file = wav(48_000, 48_000 * 20);
    let site = Site::new(move |asked| part(&file, asked, usize::MAX)).await;
    let opened = sources().open(Source::Url(site.url("file"))).await.unwrap();
    assert!(opened.seekable);
    assert_eq!(opened.duration, Some(Duration::from_secs(20)));
    let mut player = Player::new(opened);
    player.some(960).await;
    let reached = player.seek(19.0);
    assert!((reached - 19.0).abs() < 0.1, "{reached}");
    player.all().await.is_tone(1.0);
    let asked = site.asked();
    assert!(
        asked.iter().any(|it| it.from > 48_000 * 2 * 18),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_file_that_changes_is_not_mixed_with_another() {
    let file = wav(48_000, 48_000 * 3);
    let site = Site::new(move |asked| {
        let mut answer = part(&file, asked, 150_000);
        if asked.number > 0 {
            answer.head = format!("200 OK\r\netag: \"two\"\r\ncontent-length: {}", file.len());
        }
        answer
    })
    .await;
    let mut player = player(&site).await;
    player.all().await;
    assert_eq!(player.health.failure(), Some(Error::Changed));
}

#[tokio::test]
async fn a_file_that_is_gone_in_the_middle_is_heard_to_there() {
    let file = wav(48_000, 48_000 * 3);
    let site = Site::new(move |asked| match asked.from {
        0 => part(&file, asked, 150_000),
        _ => plain("404 Not Found\r\ncontent-length: 0"),
    })
    .await;
    let mut player = player(&site).await;
    let heard = player.all().await;
    assert!((1.4..1.7).contains(&heard.seconds()), "{}", heard.seconds());
    let failure = player.health.failure().unwrap();
    assert_eq!(failure, Error::Status(404));
    assert_eq!(failure.code(), Code::NotFound);
}

#[tokio::test]
async fn failures_at_the_start_say_what_they_are() {
    let page = |kind: &str| Answer {
        head: format!("200 OK\r\ncontent-type: {kind}"),
        body: b"<!doctype html>".repeat(100),
        then: Then::Close,
    };
    let site = Site::new(move |asked| match asked.path.as_str() {
        "page" => page("text/html; charset=utf-8"),
        "list" => page("application/vnd.apple.mpegurl"),
        "lie" => page("audio/mpeg"),
        "long" => plain("200 OK\r\ncontent-length: 99999999999"),
        "circle" => plain("302 Found\r\nlocation: /circle\r\ncontent-length: 0"),
        "file" => plain("302 Found\r\nlocation: file:///etc/passwd\r\ncontent-length: 0"),
        status => plain(&format!("{status} Status\r\ncontent-length: 0")),
    })
    .await;
    for (path, code) in [
        ("page", Code::FailedPrecondition),
        ("list", Code::FailedPrecondition),
        ("lie", Code::FailedPrecondition),
        ("long", Code::InvalidArgument),
        ("circle", Code::FailedPrecondition),
        ("file", Code::InvalidArgument),
        ("404", Code::NotFound),
        ("403", Code::FailedPrecondition),
        ("503", Code::Unavailable),
    ] {
        let error = refused(config(), site.url(path)).await;
        assert_eq!(error.code(), code, "{path}: {error}");
    }
    let small = Config {
        source_size: Size(10),
        ..config()
    };
    assert_eq!(refused(small, site.url("long")).await, Error::Long(10));
}

#[tokio::test]
async fn redirects_are_followed() {
    let file = media("tone.mp3");
    let site = Site::new(move |asked| match asked.path.as_str() {
        "file" => plain("302 Found\r\nlocation: /moved\r\ncontent-length: 0"),
        _ => part(&file, asked, usize::MAX),
    })
    .await;
    player(&site).await.all().await.is_tone(2.0);
}

#[tokio::test]
async fn private_addresses_are_out_of_reach_also_by_redirect() {
    let site =
        Site::new(|_| plain("302 Found\r\nlocation: http://127.0.0.2:9/\r\ncontent-length: 0"))
            .await;
    let port = site.base.rsplit(':').next().unwrap();
    let public = Config {
        urls: Places::Public,
        ..config()
    };
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
    ] {
        let error = refused(public.clone(), format!("http://{host}:{port}/file")).await;
        assert_eq!(error, Error::Private, "{host}");
    }
    assert_eq!(site.asked().len(), 0);
    // As if that one were a public address.
    let only = Config {
        urls: Places::Only(Ipv4Addr::LOCALHOST.into()),
        ..config()
    };
    assert_eq!(refused(only, site.url("file")).await, Error::Private);
    let none = Config {
        urls: Places::None,
        ..config()
    };
    assert_eq!(refused(none, site.url("file")).await, Error::UrlsOff);
    let query = Config {
        resolver: vec!["echo".to_owned(), "http://127.0.0.1:9/{query}".to_owned()],
        ..public
    };
    let found = Sources::new(query)
        .unwrap()
        .open(Source::Query("x".to_owned()))
        .await;
    assert_eq!(found.unwrap_err(), Error::Private);
}

#[tokio::test]
async fn a_query_plays_what_the_command_found() {
    let file = media("tone.aac");
    let site = Site::new(move |asked| part(&file, asked, usize::MAX)).await;
    let script = format!("echo 'Found: '$1; echo {}", site.url("file"));
    let command = ["sh", "-c", &script, "resolver", "{query}"].map(str::to_owned);
    let config = Config {
        resolver: command.to_vec(),
        ..config()
    };
    let query = Source::Query("a tone".to_owned());
    let opened = Sources::new(config).unwrap().open(query).await.unwrap();
    assert_eq!(opened.title.as_deref(), Some("Found: a tone"));
    Player::new(opened).all().await.is_tone(2.0);
}

#[tokio::test]
async fn an_endless_stream_is_played_and_not_hoarded() {
    let file = media("tone.aac");
    let site = Site::new(move |_| Answer {
        head: "200 OK\r\ncontent-type: audio/aac".to_owned(),
        body: file.clone(),
        then: Then::Repeat,
    })
    .await;
    let opened = sources().open(Source::Url(site.url("file"))).await.unwrap();
    assert_eq!((opened.duration, opened.seekable), (None, false));
    let mut player = Player::new(opened);
    until(|| site.is_stuck()).await;
    let sent = site.sent();
    // What is read ahead, and what both ends of a connection hold.
    assert!(sent < 16 << 20, "{sent}");
    let heard = player.some(48_000 * 6).await;
    assert!((heard.pitch() - 440.0).abs() < 15.0, "{}", heard.pitch());
    drop(player);
    until(|| site.closed() == 1).await;
}

#[tokio::test]
async fn nobody_waits_for_a_server_that_says_nothing() {
    let head = "200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 5000";
    let site = Site::new(move |asked| Answer {
        head: if asked.path == "head" {
            head.to_owned()
        } else {
            String::new()
        },
        body: Vec::new(),
        then: Then::Hang,
    })
    .await;
    for (number, path) in (1..).zip(["silent", "head"]) {
        let patience = Duration::from_millis(300);
        let error = refused(impatient(patience), site.url(path)).await;
        assert!(
            matches!(error, Error::Late(_) | Error::Silent(_)),
            "{error}"
        );
        // And nothing waits on behind it.
        until(|| site.closed() >= number).await;
    }
}

#[tokio::test]
async fn a_server_that_stalls_is_asked_again_and_silence_fills_the_time() {
    let file = wav(48_000, 48_000 * 3);
    let site = Site::new(move |asked| {
        let mut answer = part(&file, asked, 150_000);
        if asked.from == 0 {
            answer.then = Then::Hang;
        }
        answer
    })
    .await;
    let sources = Sources::new(impatient(Duration::from_millis(500))).unwrap();
    let opened = sources.open(Source::Url(site.url("file"))).await.unwrap();
    let mut player = Player::new(opened);
    player.all().await.is_tone(3.0);
    assert_eq!(player.health.failure(), None);
    assert!(player.health.waited() > Duration::ZERO);
}

#[tokio::test]
async fn who_claims_more_than_there_is_fails_at_its_end() {
    let file = media("tone.flac");
    let length = file.len() + 1000;
    let site = Site::new(move |asked| {
        let rest = &file[asked.from.min(file.len())..];
        let (from, last, left) = (asked.from, length - 1, length - asked.from);
        Answer {
            head: format!(
                "206 Partial Content\r\ncontent-length: {left}\r\ncontent-range: bytes {from}-{last}/{length}"
            ),
            body: rest.to_vec(),
            then: Then::Close,
        }
    })
    .await;
    let mut player = player(&site).await;
    // The demuxer cannot tell whether its last packet is whole.
    let heard = player.all().await.seconds();
    assert!((1.4..2.1).contains(&heard), "{heard}");
    assert_eq!(player.health.failure(), Some(Error::Unreachable));
}

#[tokio::test]
async fn a_track_that_is_dropped_lets_go_of_its_server() {
    let file = Arc::new(wav(48_000, 48_000 * 9));
    let site = Site::new(move |asked: &Asked| Answer {
        then: Then::Hang,
        ..part(&file, asked, 60_000)
    })
    .await;
    let opened = sources().open(Source::Url(site.url("file"))).await.unwrap();
    assert_eq!(site.closed(), 0);
    drop(opened);
    until(|| site.closed() == 1).await;
}
