//! Where requests go, and what is refused before anything is done.

use super::*;
use wire::gateway::v1::RequestSoundboardSoundsRequest;

fn to(routing_key: &str) -> Result<To, Code> {
    let call = Call {
        routing_key: routing_key.to_owned(),
        ..Call::default()
    };
    To::read(&call, 42).map_err(|failure| failure.code())
}

#[test]
fn a_routing_key_says_whose_the_request_is() {
    let owner = |count, id| Ok(To::Owner(Shard { count, id }));
    for (key, expected) in [
        ("ws.Send.42", Ok(To::Anyone)),
        ("ws.Send.42.7", Ok(To::Anyone)),
        ("ws-shard.Send.42.16.3", owner(16, 3)),
        ("ws-shard.Send.42.16", Err(Code::InvalidArgument)),
        ("ws-shard.Send.42.a.b", Err(Code::InvalidArgument)),
        ("ws.Send.43", Err(Code::NotFound)),
        ("ws.Send", Err(Code::NotFound)),
        ("api.Call.42", Err(Code::InvalidArgument)),
    ] {
        assert_eq!(to(key), expected, "{key}");
    }
}

#[test]
fn the_owners_routing_key_fits_its_binding() {
    let shard = Shard { count: 16, id: 3 };
    let key = Method::Send.key(42, shard);
    assert_eq!(key, "ws-shard.Send.42.16.3");
    assert_eq!(binding(42, shard), key.replace("Send", "*"));
    assert_eq!(to(&key), Ok(To::Owner(shard)));
}

#[test]
fn methods_are_found_by_their_full_names() {
    for method in [
        Method::RequestChannelInfo,
        Method::RequestGuildMembers,
        Method::RequestSoundboardSounds,
        Method::Send,
        Method::UpdatePresence,
        Method::UpdateVoiceState,
    ] {
        let name = format!("gateway.v1.Ws/{}", method.name());
        assert_eq!(Method::parse(&name), Ok(method));
    }
    let service = wire::descriptors()
        .get_service_by_name("gateway.v1.Ws")
        .unwrap();
    assert_eq!(
        service.methods().len(),
        6,
        "every method of the contract is here"
    );
    let failure = Method::parse("gateway.v1.Ws/Resume").unwrap_err();
    assert_eq!(failure.code(), Code::Unimplemented);
}

fn send(payload: &str, connection: Option<Connection>) -> Result<Job, Failure> {
    let request = SendRequest {
        payload: payload.to_owned(),
        connection,
    };
    Job::send(request, 4, 0)
}

#[test]
fn a_payload_goes_to_the_shard_of_its_guild_and_to_no_other() {
    let guild = 7 << 22;
    let payload = format!(r#"{{"op":4,"d":{{"guild_id":"{guild}","channel_id":null}}}}"#);
    let job = send(&payload, Some(Connection::GuildId(guild))).unwrap();
    assert_eq!(job.shard_ids(), [3]);
    let job = send(&payload, Some(Connection::ShardId(3))).unwrap();
    assert_eq!(job.shard_ids(), [3]);
    for (connection, words) in [
        (Some(Connection::ShardId(1)), "belongs to shard 3"),
        (Some(Connection::GuildId(0)), "guild_id is not set"),
        (None, "neither guild_id nor shard_id"),
    ] {
        let failure = send(&payload, connection).unwrap_err();
        assert_eq!(failure.code(), Code::InvalidArgument);
        assert!(failure.message.contains(words), "{}", failure.message);
    }
}

#[test]
fn sounds_are_asked_for_by_shard() {
    let of = |guild_ids: &[u64]| {
        let guild_ids = guild_ids.to_vec();
        let question = Question::sounds(&RequestSoundboardSoundsRequest { guild_ids });
        Job::sounds(question.unwrap(), 4)
    };
    assert_eq!(of(&[1 << 22, 5 << 22]).shard_ids(), [1]);
    let several = of(&[1 << 22, 2 << 22, 5 << 22, 1 << 22]);
    let shards = BTreeMap::from([(1, vec![1 << 22, 5 << 22]), (2, vec![2 << 22])]);
    assert_eq!(several, Job::Sounds(shards));
}

#[test]
fn only_fields_that_discord_knows_are_asked_for() {
    let request = |field: &str| RequestChannelInfoRequest {
        guild_id: 7 << 22,
        fields: vec![field.to_owned()],
    };
    assert_eq!(Job::info(request("status"), 4).unwrap().shard_ids(), [3]);
    let failure = Job::info(request("mood"), 4).unwrap_err();
    assert!(failure.message.contains("\"mood\""), "{}", failure.message);
}
