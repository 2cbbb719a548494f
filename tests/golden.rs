//! One golden file of every event, as JSON and as what travels for it: neither may change unseen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use prost::Message as _;
use prost_reflect::{DynamicMessage, ReflectMessage, Value};
use serde_json::Value as Json;
use transcode::{Encoded, Envelope, Lane, Lanes, Payload, Scratch, Transcoder};
use wire::discord::v1::Interaction;
use wire::gateway::v1::{Event, Source};
use wire::routing::{self, InteractionRoute};

/// Names each file, with the connection that its event comes by and its routing key.
const KEYS: &str = "routing-keys.txt";

/// What files are called that hold what the schema does not.
const ODD: &str = ".odd";

/// The bot of the golden files.
const APPLICATION: u64 = 1_073_898_690_969_604_099;

/// One event: `tests/golden/<file>.json` and `tests/golden/<file>.binpb`.
pub(crate) struct Golden {
    file: String,
    pub(crate) json: String,
    pub(crate) source: Source,
    /// Its routing key in the table; empty when it is not there yet.
    pub(crate) pinned_key: String,
}

#[test]
fn every_event_has_a_golden_file() {
    let known: BTreeSet<String> = wire::event::events()
        .into_iter()
        .map(|it| it.name)
        .collect();
    let golden: BTreeSet<String> = goldens().iter().map(|it| it.name().to_owned()).collect();
    let missing: Vec<_> = known.difference(&golden).collect();
    let unknown: Vec<_> = golden.difference(&known).collect();
    assert!(missing.is_empty(), "tests/golden has no {missing:?}");
    assert!(unknown.is_empty(), "the contract has no {unknown:?}");
}

#[test]
fn what_travels_is_pinned() {
    let transcoder = Transcoder::new();
    let mut fresh = BTreeMap::new();
    let mut keys = String::new();
    for golden in goldens() {
        let mut scratch = Scratch::default();
        let encoded = golden.encode(&transcoder, &mut scratch);
        let (source, key) = (golden.source.as_str_name(), golden.key(&encoded));
        let source = source.trim_start_matches("SOURCE_");
        keys += &format!("{:<40} {source:<7} {key}\n", golden.file);
        fresh.insert(format!("{}.binpb", golden.file), encoded.body.to_vec());
    }
    fresh.insert(KEYS.to_owned(), keys.into_bytes());
    let stale = stale(&fresh);
    assert!(
        stale.is_empty(),
        "{stale:?} are not what travels. If that is meant: cp {}/* tests/golden/",
        fresh_folder().display()
    );
}

/// What was pinned for an event that is no longer there would never be compared.
#[test]
fn nothing_is_left_over() {
    let files: BTreeSet<String> = goldens().into_iter().map(|it| it.file).collect();
    let left: Vec<String> = names("binpb").filter(|it| !files.contains(it)).collect();
    assert!(left.is_empty(), "there is no JSON for {left:?}");
}

#[test]
fn the_generated_types_hold_everything() {
    for golden in goldens() {
        let pinned = golden.pinned();
        let event = Event::decode(pinned.as_slice()).unwrap();
        assert_eq!(event.name, golden.name(), "{}", golden.file);
        assert_eq!(event.data.is_none(), golden.is_untyped(), "{}", golden.file);
        // Not as bytes: the order of fields and of a map's entries is free.
        let again = dynamic(&event.encode_to_vec());
        assert_eq!(again, dynamic(&pinned), "{}", golden.file);
    }
}

#[test]
fn everything_comes_back_as_it_was_sent() {
    let transcoder = Transcoder::new();
    let mut scratch = Scratch::default();
    for golden in goldens() {
        let pinned = golden.pinned();
        let payload = transcoder.payload(&pinned, &mut scratch).unwrap();
        assert_eq!(payload.name, golden.name());
        assert_eq!(payload.typed, !golden.is_untyped(), "{}", golden.file);
        let found: Json = serde_json::from_str(payload.json).unwrap();
        let sent: Json = serde_json::from_str(&golden.json).unwrap();
        assert_eq!(found, sent, "{}", golden.file);
    }
}

/// What Discord documents has its fields. Only files that are made for it hold anything else.
#[test]
fn only_odd_members_are_kept_as_text() {
    for golden in goldens() {
        let mut kept = Vec::new();
        texts(&dynamic(&golden.pinned()), &mut kept);
        let odd = golden.file.ends_with(ODD);
        assert_eq!(!kept.is_empty(), odd, "{} keeps {kept:#?}", golden.file);
    }
}

impl Golden {
    /// The event's name. What follows it in the file's says what is particular about this one.
    pub(crate) fn name(&self) -> &str {
        self.file.split('.').next().expect("split has a first part")
    }

    fn is_untyped(&self) -> bool {
        !self.json.starts_with('{')
    }

    fn pinned(&self) -> Vec<u8> {
        let path = folder().join(format!("{}.binpb", self.file));
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn encode<'s>(&self, transcoder: &Transcoder, scratch: &'s mut Scratch) -> Encoded<'s> {
        let gateway = self.source == Source::Ws;
        let envelope = Envelope {
            id: "5f0c7a1be3d24986:1207",
            application_id: APPLICATION,
            name: self.name(),
            source: self.source,
            shard: gateway.then_some((3, 16)),
            sequence: gateway.then_some(1207),
            received_at: UNIX_EPOCH + Duration::from_nanos(1_778_088_001_987_654_321),
            lanes: Lanes::Typed,
        };
        let encoded = transcoder.event(&envelope, Payload::new(&self.json), scratch);
        let lane = [Lane::Typed, Lane::Unfit][usize::from(self.is_untyped())];
        assert_eq!(encoded.lane, lane, "{}", self.file);
        encoded
    }

    fn key(&self, encoded: &Encoded<'_>) -> String {
        let data = encoded.data().unwrap_or_default();
        let interaction = (self.name() == "INTERACTION_CREATE")
            .then(|| Interaction::decode(data).expect("it was encoded just now"));
        let route = interaction.as_ref().and_then(InteractionRoute::of);
        let mut key = String::new();
        let (guild, channel) = (encoded.ids.guild_id, encoded.ids.channel_id);
        let name = self.name();
        routing::event_key(&mut key, APPLICATION, name, guild, channel, route.as_ref());
        key
    }
}

/// All golden events, sorted by their files. One that is new came by the gateway until its line in the
/// table of keys says otherwise.
pub(crate) fn goldens() -> Vec<Golden> {
    let table = fs::read_to_string(folder().join(KEYS)).unwrap_or_default();
    let lines: BTreeMap<&str, (&str, &str)> = table
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, (words.next()?, words.next()?)))
        })
        .collect();
    names("json")
        .map(|file| {
            let path = folder().join(format!("{file}.json"));
            let (source, key) = lines.get(file.as_str()).copied().unwrap_or(("WS", ""));
            Golden {
                json: fs::read_to_string(&path).expect("the file was just listed"),
                source: Source::from_str_name(&format!("SOURCE_{source}"))
                    .unwrap_or_else(|| panic!("{KEYS} has an event from {source}")),
                pinned_key: key.to_owned(),
                file,
            }
        })
        .collect()
}

/// The golden files with this extension, without it, sorted.
fn names(extension: &str) -> impl Iterator<Item = String> {
    let names: BTreeSet<String> = fs::read_dir(folder())
        .expect("the golden files are part of the tree")
        .map(|entry| entry.expect("the folder can be read").file_name())
        .filter_map(|name| {
            let name = name.to_str()?.strip_suffix(extension)?;
            Some(name.strip_suffix('.')?.to_owned())
        })
        .collect();
    names.into_iter()
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/golden"))
}

/// Where files go that differ from those in the tree, to be looked at and taken.
fn fresh_folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("golden")
}

/// Which of these files are not in the tree as they are here. They are written to `fresh_folder`.
fn stale(fresh: &BTreeMap<String, Vec<u8>>) -> Vec<&str> {
    let target = fresh_folder();
    if target.exists() {
        fs::remove_dir_all(&target).expect("it is this test's own folder");
    }
    fs::create_dir_all(&target).expect("cargo made the folder around it");
    fresh
        .iter()
        .filter(|(file, content)| fs::read(folder().join(file)).ok().as_ref() != Some(content))
        .map(|(file, content)| {
            fs::write(target.join(file), content).expect("the folder was just made");
            file.as_str()
        })
        .collect()
}

fn dynamic(event: &[u8]) -> DynamicMessage {
    let descriptor = wire::descriptors()
        .get_message_by_name("gateway.v1.Event")
        .expect("the contract has the envelope");
    DynamicMessage::decode(descriptor, event).expect("it is an event")
}

/// Everything that a message and those in it keep as text, each with the message's type.
fn texts(message: &DynamicMessage, found: &mut Vec<String>) {
    for (field, value) in message.fields() {
        match value {
            Value::String(text) if field.name() == "unknown_json" => {
                found.push(format!("{}: {text}", message.descriptor().full_name()));
            }
            Value::Message(inner) => texts(inner, found),
            Value::List(values) => {
                for inner in values.iter().filter_map(Value::as_message) {
                    texts(inner, found);
                }
            }
            Value::Map(values) => {
                for inner in values.values().filter_map(Value::as_message) {
                    texts(inner, found);
                }
            }
            _ => {}
        }
    }
}
