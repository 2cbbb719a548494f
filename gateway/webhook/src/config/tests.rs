//! Every key, right and wrong, without touching the environment.

use super::{Config, KEYS};
use boot::{Mistakes, Reader};
use transcode::Lanes;

fn read(variables: &[(&str, &str)], file: Option<&str>) -> Result<Config, Mistakes> {
    let file = file.map(|text| ("gateway.toml", text));
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut reader = Reader::of("webhook", KEYS, variables, file);
    let config = Config::read(&mut reader);
    reader.finish(config)
}

#[test]
fn an_id_is_enough_and_so_is_a_token() {
    let config = read(&[("DISCORD_APPLICATION_ID", "7")], None).unwrap();
    let [application] = &*config.applications else {
        panic!("one application is configured")
    };
    assert_eq!(
        (application.id, application.token.is_none()),
        (Some(7), true)
    );
    let config = read(&[("DISCORD_TOKEN", "a.token")], None).unwrap();
    let [application] = &*config.applications else {
        panic!("one application is configured")
    };
    assert_eq!((application.id, application.token.is_some()), (None, true));
}

#[test]
fn one_of_the_two_has_to_be_there() {
    let text = read(&[], None).unwrap_err().to_string();
    assert!(text.contains("DISCORD_APPLICATION_ID"), "{text}");
}

#[test]
fn several_applications_need_no_tokens() {
    let file = "[[applications]]\napplication_id = 7\n[[applications]]\ntoken = 'b'\n";
    let config = read(&[], Some(file)).unwrap();
    let ids: Vec<Option<u64>> = config.applications.iter().map(|it| it.id).collect();
    assert_eq!(ids, [Some(7), None]);
    let file = "[[applications]]\napplication_id = 7\n[[applications]]\n";
    let text = read(&[], Some(file)).unwrap_err().to_string();
    assert!(text.contains("application_id"), "{text}");
}

/// A key of Ed25519.
const KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

#[test]
fn events_are_taken_for_whom_there_is_a_key_and_an_address() {
    let id = ("DISCORD_APPLICATION_ID", "7");
    assert!(
        read(&[id, ("DISCORD_PUBLIC_KEY", KEY)], None)
            .unwrap()
            .inbound
            .is_none()
    );
    let address = ("HTTP_ADDRESS", "127.0.0.1:0");
    let config = read(&[id, address], None).unwrap();
    assert!(config.inbound.unwrap().events.is_empty());
    let file = format!(
        "[[applications]]\napplication_id = 7\npublic_key = '{KEY}'\nevent_payload = 'both'\n\
         [[applications]]\napplication_id = 8\n"
    );
    let inbound = read(&[address], Some(&file)).unwrap().inbound.unwrap();
    assert_eq!(inbound.events.len(), 1);
    assert_eq!(inbound.events[&7].lanes, Lanes::Both);
    // Who is not known by his id cannot be found by it.
    let text = read(
        &[("DISCORD_TOKEN", "a.b"), ("DISCORD_PUBLIC_KEY", KEY)],
        None,
    );
    let text = text.unwrap_err().to_string();
    assert!(text.contains("DISCORD_APPLICATION_ID"), "{text}");
}

#[test]
fn all_mistakes_are_told_at_once_and_without_the_token() {
    let token = "no token at all";
    let mistakes = read(
        &[
            ("DISCORD_TOKEN", token),
            ("API_TIMEOUT", "soon"),
            ("API_EGRESS", "a{b}"),
            ("REDIS_URL", "http://x"),
            ("DISCORD_PUBLIC_KEY", "abc"),
            ("HTTP_ADDRESS", "nowhere"),
        ],
        None,
    );
    let text = mistakes.unwrap_err().to_string();
    for key in [
        "DISCORD_TOKEN",
        "DISCORD_PUBLIC_KEY",
        "API_TIMEOUT",
        "API_EGRESS",
        "REDIS_URL",
        "HTTP_ADDRESS",
    ] {
        assert!(text.contains(key), "{key} is missing in {text}");
    }
    assert!(!text.contains(token), "{text}");
}
