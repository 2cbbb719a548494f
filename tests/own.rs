//! What travels and is no event of Discord's, pinned: this system's own events, and several events in one
//! message. Other languages read the same files (`tests/languages`).

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use prost::Message as _;
use wire::gateway::v1::{
    ClientConnect, ClientDisconnect, Event, EventBatch, RecordingEnd, RecordingEndReason, Reshard,
    ReshardPhase, SessionStart, Shard, ShardReason, ShardState, ShardStatus, Source, Speaking,
    TrackEnd, TrackEndReason, TrackError, TrackPosition, TrackStart, VoiceConnectReason,
    VoiceConnected, VoiceDisconnectReason, VoiceDisconnected, VoiceRecordedFile,
    VoiceStopRecordResponse, VoiceTrack, event::Data, voice_track,
};

const APPLICATION: u64 = 1_073_898_690_969_604_099;

/// The golden events that stand in the golden batch: all of this name, as their files are sorted.
const BATCHED: &str = "PRESENCE_UPDATE";

/// This system's own events, as in `tests/golden/own`.
fn own() -> Vec<Event> {
    let mut events = of_shards().to_vec();
    events.extend(of_calls());
    events
}

/// How it is with the shards.
fn of_shards() -> [Event; 2] {
    let event = |name: &str, shard, data| Event {
        id: "ws-2:17".to_owned(),
        application_id: APPLICATION,
        name: name.to_owned(),
        source: Source::Gateway.into(),
        shard,
        received_at: Some((UNIX_EPOCH + Duration::new(1_778_088_001, 987_654_321)).into()),
        data: Some(data),
        ..Event::default()
    };
    let status = ShardStatus {
        shard_id: 3,
        shard_count: 16,
        state: ShardState::Away.into(),
        reason: ShardReason::Closed.into(),
        replica: "ws-2".to_owned(),
        session_start: SessionStart::Resumed.into(),
        close_code: Some(4009),
        sequence: Some(1207),
        detail: "Discord closed the connection (4009, session timed out): it is resumed".to_owned(),
    };
    let reshard = Reshard {
        from_count: 16,
        to_count: 32,
        phase: ReshardPhase::Switching.into(),
        detail: "all 32 shards have caught up and begin to publish".to_owned(),
    };
    let shard = Some(Shard { id: 3, count: 16 });
    [
        event(
            "GATEWAY_SHARD_STATUS",
            shard,
            Data::GatewayShardStatus(Box::new(status)),
        ),
        event(
            "GATEWAY_RESHARD",
            None,
            Data::GatewayReshard(Box::new(reshard)),
        ),
    ]
}

/// What an event of a call has beside its data.
type OfCall = (&'static str, Option<u64>, Data);

const GUILD: u64 = 197_038_439_483_310_086;
const CHANNEL: u64 = 41_771_983_423_143_937;
const USER: u64 = 53_908_099_506_183_680;
const NODE: &str = "8c1f2a90d3e4";

/// How it is with the calls.
fn of_calls() -> Vec<Event> {
    let all = of_connections().into_iter();
    let all = all.chain(of_tracks()).chain(of_members());
    let all = all.chain([of_recordings()]);
    let event = |(name, user_id, data): OfCall| Event {
        id: format!("{NODE}:17"),
        application_id: APPLICATION,
        name: name.to_owned(),
        source: Source::Voice.into(),
        received_at: Some((UNIX_EPOCH + Duration::new(1_778_088_001, 987_654_321)).into()),
        guild_id: Some(GUILD),
        channel_id: Some(CHANNEL),
        user_id,
        data: Some(data),
        ..Event::default()
    };
    all.map(event).collect()
}

fn of_connections() -> [OfCall; 2] {
    let connected = VoiceConnected {
        guild_id: GUILD,
        channel_id: CHANNEL,
        reason: VoiceConnectReason::Join.into(),
        node: NODE.to_owned(),
    };
    let disconnected = VoiceDisconnected {
        guild_id: GUILD,
        channel_id: CHANNEL,
        reason: VoiceDisconnectReason::Closed.into(),
        close_code: Some(4006),
        retries: true,
        node: NODE.to_owned(),
        detail: "the connection was lost".to_owned(),
    };
    let connected = Data::VoiceConnected(Box::new(connected));
    let disconnected = Data::VoiceDisconnected(Box::new(disconnected));
    [
        ("VOICE_CONNECTED", None, connected),
        ("VOICE_DISCONNECTED", None, disconnected),
    ]
}

fn of_tracks() -> [OfCall; 4] {
    let seconds = |seconds| {
        Some(prost_types::Duration {
            seconds,
            nanos: 500_000_000,
        })
    };
    let url = "https://example.org/song.mp3".to_owned();
    let track = Some(VoiceTrack {
        id: "5f3a".to_owned(),
        source: Some(voice_track::Source::Url(url)),
        volume: Some(0.5),
        title: "A song".to_owned(),
        duration: seconds(180),
        ..VoiceTrack::default()
    });
    let start = TrackStart {
        guild_id: GUILD,
        channel_id: CHANNEL,
        track: track.clone(),
        position: seconds(0),
    };
    let end = TrackEnd {
        guild_id: GUILD,
        channel_id: CHANNEL,
        track: track.clone(),
        position: seconds(180),
        reason: TrackEndReason::Finished.into(),
    };
    let error = TrackError {
        guild_id: GUILD,
        channel_id: CHANNEL,
        track,
        position: seconds(42),
        detail: "the source broke off".to_owned(),
    };
    let position = TrackPosition {
        guild_id: GUILD,
        channel_id: CHANNEL,
        track_id: "5f3a".to_owned(),
        position: seconds(10),
    };
    [
        ("TRACK_START", None, Data::TrackStart(Box::new(start))),
        ("TRACK_END", None, Data::TrackEnd(Box::new(end))),
        ("TRACK_ERROR", None, Data::TrackError(Box::new(error))),
        (
            "TRACK_POSITION",
            None,
            Data::TrackPosition(Box::new(position)),
        ),
    ]
}

fn of_members() -> [OfCall; 3] {
    let speaking = Speaking {
        guild_id: GUILD,
        channel_id: CHANNEL,
        user_id: USER,
        microphone: true,
        soundshare: false,
        priority: false,
    };
    let came = ClientConnect {
        guild_id: GUILD,
        channel_id: CHANNEL,
        user_id: USER,
    };
    let left = ClientDisconnect {
        guild_id: GUILD,
        channel_id: CHANNEL,
        user_id: USER,
    };
    [
        ("SPEAKING", Data::Speaking(Box::new(speaking))),
        ("CLIENT_CONNECT", Data::ClientConnect(Box::new(came))),
        ("CLIENT_DISCONNECT", Data::ClientDisconnect(Box::new(left))),
    ]
    .map(|(name, data)| (name, Some(USER), data))
}

fn of_recordings() -> OfCall {
    let duration = prost_types::Duration {
        seconds: 61,
        nanos: 20_000_000,
    };
    let name = "5f1c9d2e8b7a40c3a6e1f0d4b2c89e77";
    let file = VoiceRecordedFile {
        user_id: USER,
        file: format!("{name}/{USER}.ogg"),
        duration: Some(duration),
    };
    let result = VoiceStopRecordResponse {
        recording_id: name.to_owned(),
        files: vec![file],
        dropped: 2,
        frames: 1_500,
        user_ids: vec![USER],
        detail: String::new(),
    };
    let end = RecordingEnd {
        guild_id: GUILD,
        channel_id: CHANNEL,
        recording_id: name.to_owned(),
        reason: RecordingEndReason::Limit.into(),
        result: Some(result),
    };
    ("RECORDING_END", None, Data::RecordingEnd(Box::new(end)))
}

#[test]
fn every_event_of_our_own_is_pinned() {
    let names: BTreeSet<String> = own().into_iter().map(|event| event.name).collect();
    let known: BTreeSet<String> = wire::event::own().into_iter().map(|it| it.name).collect();
    assert_eq!(names, known);
    for event in own() {
        let file = folder().join(format!("own/{}.binpb", event.name));
        pin(&file, &event.encode_to_vec());
        assert_eq!(Event::decode(read(&file).as_slice()).unwrap(), event);
    }
}

#[test]
fn a_batch_is_its_events_one_behind_the_other() {
    let mut files: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "binpb"))
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .split('.')
                .next()
                == Some(BATCHED)
        })
        .collect();
    files.sort();
    let bodies: Vec<Vec<u8>> = files.iter().map(|file| read(file)).collect();
    assert!(bodies.len() > 2, "{files:?}");

    let mut batch = Vec::new();
    for body in &bodies {
        batch.push(0x0a);
        prost::encoding::encode_varint(body.len() as u64, &mut batch);
        batch.extend(body);
    }
    pin(&folder().join(format!("batch/{BATCHED}.binpb")), &batch);
    let events = EventBatch::decode(batch.as_slice()).unwrap().events;
    let alone = bodies.iter().map(|body| Event::decode(body.as_slice()));
    assert_eq!(events, alone.collect::<Result<Vec<_>, _>>().unwrap());
}

/// A file must hold these bytes. If not, they are written to where they can be looked at and taken.
fn pin(file: &Path, bytes: &[u8]) {
    if fs::read(file).is_ok_and(|found| found == bytes) {
        return;
    }
    let name = file.file_name().expect("it is a file");
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&fresh, bytes).expect("cargo made the folder");
    let (fresh, file) = (fresh.display(), file.display());
    panic!("{file} is not what travels. If that is meant: cp {fresh} {file}");
}

fn read(file: &Path) -> Vec<u8> {
    fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/golden"))
}
