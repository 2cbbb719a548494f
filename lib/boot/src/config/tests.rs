//! Configuration without the environment: every source is given as a value.

use std::{net::SocketAddr, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};

use super::{Key, Parse, Parsed, Reader, Size};

mod tables;

const ADDRESS: Key = Key::new("ADDRESS", "An address").with_default("127.0.0.1:80");
const COUNT: Key = Key::new("COUNT", "A number").with_default("4");
const GRACE: Key = Key::new("GRACE", "A duration").with_default("5s");
const NAMES: Key = Key::new("NAMES", "A list");
const TOKEN: Key = Key::new("TOKEN", "A secret").secret();
const KEYS: &[Key] = &[ADDRESS, COUNT, GRACE];
const MORE_KEYS: &[Key] = &[NAMES, TOKEN];

#[derive(Debug)]
struct Config {
    address: SocketAddr,
    count: u16,
    grace: Duration,
    names: Option<Vec<String>>,
    token: SecretString,
}

fn read(reader: &mut Reader) -> Option<Config> {
    let address = reader.or_default(&ADDRESS);
    let count = reader.in_range(&COUNT, 1..=16);
    let grace = reader.or_default(&GRACE);
    let names = reader.optional(&NAMES);
    let token = reader.required(&TOKEN);
    Some(Config {
        address: address?,
        count: count?,
        grace: grace?,
        names,
        token: token?,
    })
}

fn config(environment: &[(&str, &str)], file: Option<&str>) -> Result<Config, String> {
    let environment = environment.iter();
    let environment = environment.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let file = file.map(|text| ("gateway.toml", text));
    let mut reader = Reader::new(&[KEYS, MORE_KEYS], environment, file);
    let config = read(&mut reader);
    let config = reader.finish(config);
    config.map_err(|mistakes| mistakes.to_string())
}

#[test]
fn defaults_and_environment() {
    let config = config(&[("TOKEN", " abc\n"), ("COUNT", "7"), ("GRACE", "")], None).unwrap();
    assert_eq!(config.address.to_string(), "127.0.0.1:80");
    assert_eq!(config.count, 7);
    assert_eq!(config.grace, Duration::from_secs(5));
    assert_eq!(config.names, None);
    assert_eq!(config.token.expose_secret(), "abc");
    assert!(!format!("{config:?}").contains("abc"));
}

#[test]
fn the_environment_wins_over_the_file() {
    let file = "count = 5\ngrace = '1m'\nnames = ['a', 'b']\ntoken = 'from file'\naddress = ''";
    let config = config(&[("COUNT", "6"), ("GRACE", " ")], Some(file)).unwrap();
    assert_eq!(config.count, 6);
    assert_eq!(config.grace, Duration::from_secs(60));
    assert_eq!(config.names.unwrap(), ["a", "b"]);
    assert_eq!(config.token.expose_secret(), "from file");
    assert_eq!(config.address.to_string(), "127.0.0.1:80");
}

#[test]
fn lists_are_separated_by_commas() {
    let set = [("TOKEN", "abc"), ("NAMES", "a, b,,c ")];
    let names = config(&set, None).unwrap().names;
    assert_eq!(names.unwrap(), ["a", "b", "c"]);
}

#[test]
fn secrets_come_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "from a file\n").unwrap();
    let path = path.to_str().unwrap();

    let file = format!("token_file = '{path}'");
    let values = [
        config(&[("TOKEN_FILE", path)], None),
        config(&[], Some(&file)),
        config(
            &[("TOKEN_FILE", path)],
            Some("token = 'hidden by the environment'"),
        ),
    ];
    for value in values {
        assert_eq!(value.unwrap().token.expose_secret(), "from a file");
    }
    let config = config(&[("TOKEN", "direct")], Some(&file)).unwrap();
    assert_eq!(config.token.expose_secret(), "direct");
}

/// Environment, file, and what is said about them.
type Case<'c> = (&'c [(&'c str, &'c str)], Option<&'c str>, &'c str);

const SET: (&str, &str) = ("TOKEN", "the-token");

const MISTAKES_OF_VALUES: &[Case<'_>] = &[
    (
        &[SET, ("COUNT", "many")],
        None,
        "COUNT (environment): \"many\" is not a whole number from 0 to 65535",
    ),
    (
        &[SET],
        Some("\ncount = 17"),
        "COUNT (gateway.toml line 2): 17 is out of range; expected 1 to 16",
    ),
    (
        &[SET],
        Some("count = [1]"),
        "count (gateway.toml line 1): the value is not a whole number from 0 to 65535: \
         one value is expected, not a list",
    ),
    (
        &[SET],
        Some("count = 1979-05-27"),
        "count (gateway.toml line 1): is a date or a number out of range; \
         expected a whole number from 0 to 65535",
    ),
    (
        &[SET, ("ADDRESS", "localhost")],
        None,
        "ADDRESS (environment): \"localhost\" is not an address with a port, \
         for example 127.0.0.1:9090",
    ),
    (
        &[SET, ("COUNT", "\u{fffd}")],
        None,
        "COUNT (environment): is not valid UTF-8",
    ),
];

const MISTAKES_OF_KEYS: &[Case<'_>] = &[
    (
        &[],
        None,
        "TOKEN (not set): is required; set the environment variable TOKEN or TOKEN_FILE \
         (the path of a file with it), or token in the configuration file",
    ),
    (
        &[SET, ("TOKEN_FILE", "/run/token")],
        None,
        "TOKEN (environment): is set as well as TOKEN_FILE; set only one",
    ),
    (
        &[("TOKEN_FILE", "/nonexistent/token")],
        None,
        "TOKEN_FILE (environment): the file /nonexistent/token cannot be read: \
         No such file or directory (os error 2)",
    ),
    (
        &[],
        Some("token_file = ['/run/token']"),
        "token_file (gateway.toml line 1): is not the path of a file",
    ),
    (
        &[SET],
        Some("tokne = 'oops'"),
        "tokne (gateway.toml line 1): is not a known key; did you mean token?",
    ),
    (
        &[SET],
        Some("[discord]\nid = 1"),
        "discord (gateway.toml line 1): is not a known table; tables have the names of services, \
         such as [ws]; --help lists all keys",
    ),
];

#[test]
fn mistakes() {
    for (environment, file, expected) in [MISTAKES_OF_VALUES, MISTAKES_OF_KEYS].concat() {
        assert_eq!(config(environment, file).unwrap_err(), expected);
    }
}

#[test]
fn files_that_hold_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("\n".to_owned(), "it is empty"),
        ("x".repeat(70_000), "it is larger than a secret can be"),
    ];
    for (text, expected) in cases {
        let path = folder.path().join("token");
        std::fs::write(&path, text).unwrap();
        let mistake = config(&[("TOKEN_FILE", path.to_str().unwrap())], None).unwrap_err();
        assert!(mistake.ends_with(expected), "{mistake}");
    }
}

#[test]
fn all_mistakes_at_once() {
    let file = "adress = '1.2.3.4:5'\ngrace = 5\n";
    let mistakes = config(&[("COUNT", "0")], Some(file)).unwrap_err();
    let starts = [
        "adress (gateway.toml line 1): is not a known key; did you mean address?",
        "COUNT (environment): 0 is out of range",
        "grace (gateway.toml line 2): \"5\" is not a duration with a unit",
        "TOKEN (not set): is required",
    ];
    assert_eq!(mistakes.lines().count(), starts.len(), "{mistakes}");
    for (line, start) in mistakes.lines().zip(starts) {
        assert!(line.starts_with(start), "{mistakes}");
    }
}

#[test]
fn syntax_errors_name_the_line_and_no_value() {
    let file = "count = 5\ntoken = 'hidden-token\ngrace = 6s\n";
    let mistakes = config(&[], Some(file)).unwrap_err();
    assert!(
        mistakes.starts_with("TOML (gateway.toml line 2): cannot be read: "),
        "{mistakes}"
    );
    assert!(!mistakes.contains("hidden"), "{mistakes}");
    // What the file would have said is unknown, so nothing is called missing.
    assert!(!mistakes.contains("required"), "{mistakes}");
}

#[test]
fn mistakes_never_show_a_secret() {
    const NUMBER: Key = Key::new("NUMBER", "A number nobody may see").secret();
    const URL: Key = Key::new("URL", "A URL with a password").secret();
    let set = [("NUMBER", "hunter22"), ("URL", "amqp://me:passw0rd@host")];
    let set = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut reader = Reader::new(&[&[NUMBER, URL]], set, None);
    assert_eq!(reader.required::<Parsed<u64>>(&NUMBER), None);
    let url = reader.required::<SecretString>(&URL).unwrap();
    let url = url.expose_secret();
    reader.mistake(&URL, format!("{url} leads nowhere; passw0rd\nis no good"));
    let mistakes = reader.finish(None::<()>).unwrap_err().to_string();
    assert_eq!(
        mistakes,
        "NUMBER (environment): the value is not valid\n\
         URL (environment): [secret] leads nowhere; [secret] is no good"
    );
}

#[test]
fn a_reader_without_result_is_a_mistake() {
    let reader = Reader::new(&[], [], None);
    assert!(reader.finish(None::<()>).is_err());
}

#[test]
fn values() {
    assert_eq!(Duration::parse("250ms"), Ok(Duration::from_millis(250)));
    assert_eq!(Duration::parse("1h30m"), Ok(Duration::from_secs(5400)));
    assert_eq!(Duration::parse("2 d"), Ok(Duration::from_secs(172_800)));
    for text in [
        "",
        "5",
        "s",
        "5 parsecs",
        "-5s",
        "1.5s",
        "5s5",
        "99999999999999999999s",
    ] {
        assert!(Duration::parse(text).is_err(), "{text}");
    }
    assert!(Duration::parse("18446744073709551615d").is_err());

    assert_eq!(Size::parse("16MiB"), Ok(Size(16 << 20)));
    assert_eq!(Size::parse("10 mb"), Ok(Size(10_000_000)));
    assert_eq!(Size::parse("0B"), Ok(Size(0)));
    for text in ["16", "16 M", "16MiB!", "1.5GiB", "18446744073709551615GiB"] {
        assert!(Size::parse(text).is_err(), "{text}");
    }
    assert_eq!(
        format!("{:?} {:?}", Size(16 << 20), Size(1000)),
        "16MiB 1000B"
    );

    assert_eq!(bool::parse("Yes"), Ok(true));
    assert_eq!(bool::parse("0"), Ok(false));
    assert!(bool::parse("maybe").is_err());
    assert!(f64::parse("inf").is_err());
    assert_eq!(f64::parse("0.5"), Ok(0.5));
    assert_eq!(Vec::<u8>::parse("1, 2"), Ok(vec![1, 2]));
    let mistake = Vec::<u8>::parse("1, two").unwrap_err();
    assert_eq!(mistake.detail.as_deref(), Some("\"two\""));
}

#[test]
fn numbers_of_any_notation() {
    let file = "count = 0x10\ntoken = 12345678";
    let config = config(&[], Some(file)).unwrap();
    assert_eq!(config.count, 16);
    assert_eq!(config.token.expose_secret(), "12345678");
}
