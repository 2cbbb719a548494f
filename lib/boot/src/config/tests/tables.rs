//! Tables of the file: one for each of several things, and one for each service.

use secrecy::{ExposeSecret as _, SecretString};

use super::super::{Key, Reader};
use crate::redact::Redactor;

const COUNT: Key = Key::new("COUNT", "A number")
    .with_default("4")
    .in_each("bots", "size");
const NAMES: Key = Key::new("BOT_NAMES", "A list").in_each("bots", "names");
const SHARED: Key = Key::new("SHARED", "A number").with_default("1");
const TOKEN: Key = Key::new("BOT_TOKEN", "A secret")
    .secret()
    .unique_in_each("bots", "token");
const KEYS: &[Key] = &[COUNT, NAMES, SHARED, TOKEN];

#[derive(Debug)]
struct Bot {
    count: u16,
    names: Vec<String>,
    token: SecretString,
}

fn bot(reader: &mut Reader) -> Option<Bot> {
    let count = reader.in_range(&COUNT, 1..=16);
    let names = reader.required(&NAMES);
    let token = reader.required(&TOKEN);
    Some(Bot {
        count: count?,
        names: names?,
        token: token?,
    })
}

fn bots(environment: &[(&str, &str)], file: &str) -> (Result<(Vec<Bot>, u16), String>, Redactor) {
    let environment = environment.iter();
    let environment = environment.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut reader = Reader::of("ws", &[KEYS], environment, Some(("gateway.toml", file)));
    let bots = reader.each("bots", bot);
    let shared = reader.or_default(&SHARED);
    let redactor = reader.redactor();
    let result = reader.finish(bots.zip(shared));
    (result.map_err(|mistakes| mistakes.to_string()), redactor)
}

fn good(environment: &[(&str, &str)], file: &str) -> (Vec<Bot>, u16) {
    bots(environment, file).0.unwrap()
}

fn mistakes(environment: &[(&str, &str)], file: &str) -> String {
    bots(environment, file).0.unwrap_err()
}

#[test]
fn without_tables_there_is_one() {
    let environment = [("BOT_TOKEN", "the-token"), ("BOT_NAMES", "a,b")];
    let (bots, _) = good(&environment, "count = 5");
    assert_eq!(bots.len(), 1);
    assert_eq!(bots[0].count, 5);
    assert_eq!(bots[0].token.expose_secret(), "the-token");
}

#[test]
fn each_table_has_its_own_and_the_rest_in_common() {
    let file = "
        bot_names = 'x'
        [[bots]]
        token = 'first-token'
        size = 7
        [[bots]]
        token = 'second-token'
        names = ['a', 'b']
    ";
    let (bots, _) = good(&[("COUNT", "9")], file);
    let [first, second] = &*bots else {
        panic!("two bots are configured")
    };
    assert_eq!((first.count, second.count), (7, 9));
    assert_eq!(
        (first.names.join("-"), second.names.join("-")),
        ("x".into(), "a-b".into())
    );
    assert_eq!(second.token.expose_secret(), "second-token");
}

#[test]
fn every_secret_of_every_table_is_hidden() {
    let file = "bot_names = 'x'\n[[bots]]\ntoken = 'first-token'\n[[bots]]\ntoken = 'second-token'";
    let (result, redactor) = bots(&[], file);
    assert!(result.is_ok());
    assert_eq!(
        redactor.clean("first-token, second-token"),
        "[secret], [secret]"
    );
}

#[test]
fn secrets_of_tables_come_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "from-a-file\n").unwrap();
    let path = path.to_str().unwrap();
    let file = format!("bot_names = 'x'\n[[bots]]\ntoken_file = '{path}'");
    assert_eq!(good(&[], &file).0[0].token.expose_secret(), "from-a-file");
}

#[test]
fn the_table_of_the_service_wins_and_those_of_others_are_left_alone() {
    let file = "
        shared = 2
        count = 2
        [ws]
        shared = 3
        [http]
        shared = 'not ours to judge'
        port = 80
        [[bots]]
        token = 'first-token'
        names = 'all'
        [bots.ws]
        names = 'mine'
        [bots.http]
        public_key = 'theirs'
    ";
    let (bots, shared) = good(&[], file);
    assert_eq!(shared, 3);
    assert_eq!(bots[0].names, ["mine"]);
    assert_eq!(bots[0].count, 2);
    assert_eq!(good(&[("SHARED", "4")], file).1, 4);
    let own = "[[bots]]\ntoken = 'shared-token'\n[[ws.bots]]\ntoken = 'own-token'\nnames = 'x'";
    assert_eq!(good(&[], own).0[0].token.expose_secret(), "own-token");
}

#[test]
fn what_is_for_another_service_is_passed_over_whatever_its_value() {
    let file = "
        api_timeout = 'not ours to judge'
        http_secret_file = '/nonexistent'
        bot_names = 'x'
        [http_tokens]
        ignore = 1
        [[applications]]
        global_limit = 'many'
        token = 'of-another'
        unheard_of = 'of-nobody'
        [[bots]]
        token = 'first-token'
        count = 3
    ";
    assert_eq!(
        mistakes(&[], file),
        "applications[0].unheard_of (gateway.toml line 10): is not a known key; --help lists all keys\n\
         bots[0].count (gateway.toml line 13): is not a known key; did you mean size?"
    );
    let file = file.replace("unheard_of = 'of-nobody'", "");
    let (bots, _) = good(&[("API_TIMEOUT", "never")], &file.replace("count = 3", ""));
    assert_eq!(bots.len(), 1);
}

/// Environment, file, and what is said about them.
type Case<'c> = (&'c [(&'c str, &'c str)], &'c str, &'c str);

const OF_VALUES: &[Case<'_>] = &[
    (
        &[],
        "bot_names = 'x'\n[[bots]]\ntoken = 'first-token'\n\n[[bots]]\nsize = 1",
        "bots[1].token (gateway.toml line 5): is required; set token in this table or token_file \
         (the path of a file with it)",
    ),
    (
        &[],
        "[[bots]]\ntoken = 'first-token'",
        "bots[0].names (gateway.toml line 1): is required; set names in this table, or BOT_NAMES \
         for all",
    ),
    (
        &[],
        "bot_names = 'x'\n[[bots]]\ntoken = 'first-token'\nsize = 17",
        "bots[0].size (gateway.toml line 4): 17 is out of range; expected 1 to 16",
    ),
    (
        &[],
        "bot_names = 'x'\n[[bots]]\ntoken = 'first-token'\n[bots.ws]\nsize = 'many'",
        "bots[0].ws.size (gateway.toml line 5): \"many\" is not a whole number from 0 to 65535",
    ),
    (
        &[],
        "bot_names = 'x'\n[[bots]]\ntoken = 'same-token'\n[[bots]]\ntoken = 'same-token'",
        "bots[1].token (gateway.toml line 5): is the same as that of bots[0]",
    ),
    (
        &[("BOT_TOKEN", "shared-token")],
        "bot_names = 'x'\n[[bots]]\ntoken = 'first-token'",
        "BOT_TOKEN (environment): stands outside of [[bots]]; write it into one of these tables, \
         as token",
    ),
    (
        &[("BOT_TOKEN", "shared-token")],
        "bot_names = 'x'\n[[bots]]\nsize = 1",
        "BOT_TOKEN (environment): stands outside of [[bots]]; write it into one of these tables, \
         as token\n\
         bots[0].token (gateway.toml line 2): is required; set token in this table or token_file \
         (the path of a file with it)",
    ),
    (
        &[("BOT_TOKEN", "the-token"), ("BOT_NAMES", "x")],
        "[ws]\nshared = 'many'",
        "ws.shared (gateway.toml line 2): \"many\" is not a whole number from 0 to 65535",
    ),
];

const SET: &[(&str, &str)] = &[("BOT_TOKEN", "the-token"), ("BOT_NAMES", "x")];

const OF_NAMES: &[Case<'_>] = &[
    (
        &[],
        "bot_names = 'x'\n[[bots]]\ntoken = 'first-token'\nsizes = 1",
        "bots[0].sizes (gateway.toml line 4): is not a known key; did you mean size?",
    ),
    (
        &[],
        "bot_names = 'x'\n[[bots]]\ntoken = 'first-token'\ncount = 1",
        "bots[0].count (gateway.toml line 4): is not a known key; did you mean size?",
    ),
    (
        SET,
        "size = 1",
        "size (gateway.toml line 1): is not a known key; did you mean count?",
    ),
    (
        SET,
        "voice_speed = 1",
        "voice_speed (gateway.toml line 1): is not a known key; gateway-voice --help lists its keys",
    ),
    (
        SET,
        "api_timeouts = 1",
        "api_timeouts (gateway.toml line 1): is not a known key; did you mean api_timeout?",
    ),
    (
        SET,
        "api_colour_of_the_moon = 1",
        "api_colour_of_the_moon (gateway.toml line 1): is not a known key; gateway-api --help lists \
         its keys",
    ),
    (
        SET,
        "[[applications]]\nglobal_limits = 1",
        "applications[0].global_limits (gateway.toml line 2): is not a known key; did you mean \
         global_limit?",
    ),
    (
        SET,
        "[ws]\napi_timeout = '1s'\nws_lease_ttl = '1s'",
        "ws.api_timeout (gateway.toml line 2): is not a known key; it is one of gateway-api\n\
         ws.ws_lease_ttl (gateway.toml line 3): is not a known key; --help lists all keys",
    ),
    (
        SET,
        "[ws]\nshard = 1",
        "ws.shard (gateway.toml line 2): is not a known key; did you mean shared?",
    ),
    (
        SET,
        "[wss]\nshared = 1",
        "wss (gateway.toml line 1): is not a known table; tables have the names of services, such \
         as [ws]; --help lists all keys",
    ),
    (
        SET,
        "voice = 1",
        "voice (gateway.toml line 1): is not a known key; --help lists all keys",
    ),
    (
        &[],
        "[bots]\ntoken = 'first-token'",
        "bots (gateway.toml line 1): is no array of tables; write [[bots]] once for each",
    ),
    (
        &[],
        "bots = []",
        "bots (gateway.toml line 1): is empty; write [[bots]] once for each, or leave it out",
    ),
    (
        &[],
        "[[bot]]\ntoken = 'first-token'\n[[bots]]\ntoken = 'other-token'\nnames = 'x'",
        "bot (gateway.toml line 1): is not a known table; tables have the names of services, such \
         as [ws]; did you mean bots?",
    ),
];

#[test]
fn mistakes_name_the_table_and_the_line() {
    for (environment, file, expected) in [OF_VALUES, OF_NAMES].concat() {
        let mistakes = mistakes(environment, file);
        assert_eq!(mistakes, expected, "{file}");
    }
}

#[test]
fn all_mistakes_of_all_tables_at_once() {
    let file = "[[bots]]\nsize = 0\n[[bots]]\nsize = 99\ntokne = 'abcdefg'";
    let mistakes = mistakes(&[], file);
    assert_eq!(mistakes.lines().count(), 7, "{mistakes}");
    assert!(!mistakes.contains("abcdefg"), "{mistakes}");
}
