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
    Event, EventBatch, Reshard, ReshardPhase, SessionStart, Shard, ShardReason, ShardState,
    ShardStatus, Source, event::Data,
};

const APPLICATION: u64 = 1_073_898_690_969_604_099;

/// The golden events that stand in the golden batch: all of this name, as their files are sorted.
const BATCHED: &str = "PRESENCE_UPDATE";

/// This system's own events, as in `tests/golden/own`.
fn own() -> [Event; 2] {
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
