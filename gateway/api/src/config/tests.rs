//! Every key, right and wrong, without touching the environment.

use super::{Config, KEYS};
use boot::{ExposeSecret as _, Mistakes, Reader};
use std::time::Duration;

const TOKEN: &str = "not-a.real.token-0123456789";

fn read(variables: &[(&str, &str)], file: Option<&str>) -> Result<Config, Mistakes> {
    let file = file.map(|text| ("gateway.toml", text));
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut reader = Reader::of("api", KEYS, variables, file);
    let config = Config::read(&mut reader);
    reader.finish(config)
}

#[test]
fn a_token_is_enough() {
    let config = read(&[("DISCORD_TOKEN", TOKEN)], None).unwrap();
    let [application] = &*config.applications else {
        panic!("one application is configured")
    };
    let token = application.token.as_ref().unwrap();
    assert_eq!(token.expose_secret(), TOKEN);
    let config = config.outbound;
    let settings = config.settings(application.global_limit);
    assert_eq!((application.id, settings.global_limit), (None, 50));
    assert_eq!(
        (settings.waiting, settings.waiting_per_bucket),
        (50_000, 10_000)
    );
    assert_eq!(config.timeout, Duration::from_secs(15));
    assert_eq!(config.request_timeout, Duration::from_secs(10));
    assert_eq!(config.invalid_limit, 10_000);
    assert_eq!(
        (config.max_body, config.waiting_size),
        (32 << 20, 256 << 20)
    );
}

#[test]
fn every_key_is_read() {
    let config = read(
        &[
            ("DISCORD_API_URL", "http://127.0.0.1:4000/api/v10"),
            ("API_TIMEOUT", "2s"),
            ("API_REQUEST_TIMEOUT", "3s"),
            ("API_WAITING", "40"),
            ("API_WAITING_PER_BUCKET", "4"),
            ("API_WAITING_SIZE", "4MiB"),
            ("API_MAX_BODY", "1MiB"),
            ("API_INVALID_LIMIT", "100"),
            ("API_EGRESS", "nat-2.example"),
        ],
        Some(
            "api_global_limit = 60\n[[applications]]\ntoken = 'a'\napplication_id = 7\n\
             [[applications]]\ntoken = 'b'\nglobal_limit = 500",
        ),
    )
    .unwrap();
    let [first, second] = &*config.applications else {
        panic!("two applications are configured")
    };
    assert_eq!((first.id, first.global_limit), (Some(7), 60));
    assert_eq!((second.id, second.global_limit), (None, 500));
    let config = config.outbound;
    assert_eq!(config.api_url, "http://127.0.0.1:4000/api/v10");
    assert_eq!(config.timeout, Duration::from_secs(2));
    assert_eq!(config.request_timeout, Duration::from_secs(3));
    assert_eq!((config.waiting, config.waiting_per_bucket), (40, 4));
    assert_eq!((config.waiting_size, config.max_body), (4 << 20, 1 << 20));
    assert_eq!(config.invalid_limit, 100);
    assert_eq!(config.egress, "nat-2.example");
}

#[test]
fn all_mistakes_are_told_at_once_and_without_the_token() {
    let token = "no token at all";
    let mistakes = read(
        &[
            ("DISCORD_TOKEN", token),
            ("API_WAITING", "0"),
            ("API_TIMEOUT", "soon"),
            ("API_MAX_BODY", "3"),
            ("API_EGRESS", "a{b}"),
        ],
        None,
    )
    .unwrap_err();
    let text = mistakes.to_string();
    for key in [
        "DISCORD_TOKEN",
        "API_WAITING",
        "API_TIMEOUT",
        "API_MAX_BODY",
        "API_EGRESS",
    ] {
        assert!(text.contains(key), "{key} is missing in {text}");
    }
    assert!(!text.contains(token), "{text}");
}
