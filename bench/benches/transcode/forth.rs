//! From frames to whole messages.

use std::hint::black_box;
use std::time::SystemTime;

use bench::corpus::Event;
use serde::de::IgnoredAny;
use serenity::model::event::GatewayEvent;
use transcode::{Envelope, Frame, Lanes, Scratch, Transcoder};
use twilight_gateway::EventTypeFlags;
use wire::gateway::v1::Source;

use crate::turns::{Contender, Row};

const TRANSCODE: &str = "transcode";
const AS_JSON: &str = "ids, JSON kept";
const SCAN: &str = "sonic-rs scan";
const DISPATCH: &str = "as twilight-dispatch";
const TWILIGHT: &str = "twilight parse";
const SERENITY: &str = "serenity parse";

pub(crate) fn measure(sets: &[(&'static str, Vec<Event>)], turns: usize) {
    let rows: Vec<_> = sets
        .iter()
        .map(|(name, events)| Row::measure(name, events, turns, contenders()))
        .collect();
    print(sets, &rows);
    judge(sets, &rows);
}

fn contenders() -> Vec<Contender<'static, Event>> {
    vec![
        transcode(TRANSCODE, Lanes::Typed),
        transcode(AS_JSON, Lanes::Json),
        Contender::new(SCAN, scan),
        Contender::new(DISPATCH, dispatch),
        Contender::new(TWILIGHT, twilight),
        Contender::new(SERENITY, serenity),
    ]
}

/// The envelope around each event.
pub(crate) fn envelope<'a>(frame: &'a Frame<'_>, lanes: Lanes) -> Envelope<'a> {
    Envelope {
        id: "2d86f1dcba9d4b2e8e5d1c3f0a9b8c7d:123456",
        application_id: 81_384_788_765_712_384,
        name: frame.name.as_deref().unwrap_or_default(),
        source: Source::Ws,
        shard: Some((3, 16)),
        sequence: frame.sequence,
        received_at: SystemTime::UNIX_EPOCH,
        lanes,
    }
}

/// From the frame to the whole message that is published.
fn transcode(name: &'static str, lanes: Lanes) -> Contender<'static, Event> {
    let transcoder = Transcoder::new();
    let mut scratch = Scratch::default();
    let received_at = SystemTime::now();
    Contender::new(name, move |event: &Event| {
        let frame = Frame::parse(&event.frame).expect("the corpus has frames");
        let envelope = Envelope {
            received_at,
            ..envelope(&frame, lanes)
        };
        let encoded = transcoder.event(&envelope, frame.payload, &mut scratch);
        encoded.body.len()
    })
}

/// That the frame is JSON, and nothing more.
fn scan(event: &Event) -> usize {
    usize::from(sonic_rs::from_str::<IgnoredAny>(&event.frame).is_ok())
}

/// Into a tree of values, from which the payload is written again.
fn dispatch(event: &Event) -> usize {
    let mut bytes = event.frame.clone().into_bytes();
    let value = simd_json::to_owned_value(&mut bytes).expect("the corpus is JSON");
    simd_json::to_vec(&value["d"]).map_or(0, |payload| payload.len())
}

fn twilight(event: &Event) -> usize {
    let parsed = twilight_gateway::parse(event.frame.clone(), EventTypeFlags::all());
    usize::from(black_box(parsed).is_ok_and(|event| event.is_some()))
}

fn serenity(event: &Event) -> usize {
    usize::from(black_box(serde_json::from_str::<GatewayEvent>(&event.frame)).is_ok())
}

/// The bytes of the typed payloads alone, without their envelopes, and of the JSON they are of.
fn data(events: &[Event]) -> (usize, usize) {
    let transcoder = Transcoder::new();
    let mut scratch = Scratch::default();
    events.iter().fold((0, 0), |(data, json), event| {
        let payload = Frame::parse(&event.frame)
            .expect("the corpus has frames")
            .payload;
        let typed = transcoder
            .data(event.name, payload, &mut scratch)
            .map_or(0, <[u8]>::len);
        (data + typed, json + payload.text().map_or(0, str::len))
    })
}

fn bytes(events: &[Event]) -> usize {
    events.iter().map(|event| event.frame.len()).sum()
}

fn print(sets: &[(&str, Vec<Event>)], rows: &[Row<'_, Event>]) {
    println!("\nforth, from frame to message:");
    println!(
        "{:15}{:>9}{:>9}{}",
        "events",
        "JSON B",
        "ours B",
        rows[0].heads()
    );
    for ((_, events), row) in sets.iter().zip(rows) {
        let (json, ours) = (bytes(events) / row.count, row.of(TRANSCODE).out / row.count);
        println!("{:15}{json:>9}{ours:>9}{}", row.name, row.cells(TRANSCODE));
    }
    println!("in parentheses: how many times what the transcoder takes, envelope included");
    for row in rows {
        for contender in [TWILIGHT, SERENITY] {
            let read = row.of(contender).out;
            if read < row.count {
                let (name, count) = (row.name, row.count);
                println!("{contender}: {read} of {count} {name} events understood");
            }
        }
    }
}

/// The rows against what is promised of them.
fn judge(sets: &[(&str, Vec<Event>)], rows: &[Row<'_, Event>]) {
    let (mix, events) = (&rows[0], &sets[0].1);
    let ours = mix.nanoseconds(TRANSCODE);
    println!("\nthe mix:");
    println!(
        "  times a validating scan      {:5.2}  (at most 1.5)",
        ours / mix.nanoseconds(SCAN)
    );
    let faster = mix.nanoseconds(DISPATCH) / ours;
    println!("  times faster than dispatch   {faster:5.2}  (at least 5)");
    let (data, json) = data(events);
    let share = data as f64 / json as f64;
    println!("  payload, share of its JSON   {share:5.2}  (at most 0.5)");
    let share = mix.of(TRANSCODE).out as f64 / bytes(events) as f64;
    println!("  message, share of the frame  {share:5.2}");
    for guild in rows.iter().filter(|row| row.name == "guild") {
        println!("the guild:");
        println!(
            "  times a validating scan      {:5.2}  (at most 1.7)",
            guild.nanoseconds(TRANSCODE) / guild.nanoseconds(SCAN)
        );
    }
}
