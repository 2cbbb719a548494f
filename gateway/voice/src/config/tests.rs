//! Every key, right and wrong, without touching the environment.

use boot::Reader;

use super::*;

fn read(variables: &[(&str, &str)], file: Option<&str>) -> Result<Config, String> {
    let file = file.map(|text| ("gateway.toml", text));
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut reader = Reader::of("voice", KEYS, variables, file);
    let config = Config::read(&mut reader);
    reader.finish(config).map_err(|error| error.to_string())
}

#[test]
fn an_id_is_enough() {
    let config = read(&[("DISCORD_APPLICATION_ID", "7")], None).unwrap();
    let [application] = &*config.applications else {
        panic!("one application is configured")
    };
    assert_eq!((application.id, application.user_id.get()), (7, 7));
    assert_eq!(config.settings.calls, 500);
    assert_eq!(config.settings.join_timeout, Duration::from_secs(10));
}

#[test]
fn the_bots_of_several_applications_have_their_own_users() {
    let file =
        "[[applications]]\napplication_id = 7\n[[applications]]\napplication_id = 8\nuser_id = 9";
    let config = read(&[], Some(file)).unwrap();
    let ids = config.applications.iter();
    let ids: Vec<_> = ids.map(|it| (it.id, it.user_id.get())).collect();
    assert_eq!(ids, [(7, 7), (8, 9)]);
}

#[test]
fn mistakes_are_named() {
    for (key, value, said) in [
        ("DISCORD_APPLICATION_ID", "", "DISCORD_APPLICATION_ID"),
        ("DISCORD_USER_ID", "x", "a user's id"),
        ("VOICE_CALLS", "0", "VOICE_CALLS"),
        ("VOICE_CPU", "101", "VOICE_CPU"),
        ("VOICE_EMPTY", "go", "leave, pause or stay"),
        ("VOICE_EMPTY_TIMEOUT", "2d", "VOICE_EMPTY_TIMEOUT"),
        ("VOICE_QUEUE", "-1", "VOICE_QUEUE"),
        ("VOICE_TRACK_DATA", "1GiB", "VOICE_TRACK_DATA"),
        ("VOICE_JOIN_TIMEOUT", "10", "VOICE_JOIN_TIMEOUT"),
        ("VOICE_RECONNECT_TIMEOUT", "0s", "VOICE_RECONNECT_TIMEOUT"),
        ("VOICE_POSITION_INTERVAL", "1d", "VOICE_POSITION_INTERVAL"),
        ("VOICE_RECORDINGS", "/no/such/place", "VOICE_RECORDINGS"),
        ("VOICE_RECORDING_LIMIT", "0s", "VOICE_RECORDING_LIMIT"),
        ("BROKER_TYPE", "stdio", "over stdio there is no gateway-ws"),
    ] {
        let mut variables = vec![("DISCORD_APPLICATION_ID", "7")];
        variables.retain(|(name, _)| *name != key);
        variables.push((key, value));
        let mistake = read(&variables, None).unwrap_err();
        assert!(mistake.contains(said), "{mistake}");
    }
}
