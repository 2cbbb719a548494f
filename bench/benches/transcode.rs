//! What turning a frame into a `gateway.v1.Event` costs, beside a plain scan of the same JSON and
//! beside what others do with it. The contenders take turns and the best turn of each counts, so
//! that the ratios mean something on a busy machine.
//!
//! `cargo bench -p bench --bench transcode [-- TURNS]`

use std::env::args;
use std::hint::black_box;
use std::time::{Duration, SystemTime};

use bench::corpus::{Corpus, Event, Kind};
use serde::de::IgnoredAny;
use serenity::model::event::GatewayEvent;
use tokio::time::Instant;
use transcode::{Envelope, Frame, Lanes, Scratch, Transcoder};
use twilight_gateway::EventTypeFlags;
use wire::gateway::v1::Source;

/// Another seed gives other events of the same kinds.
const SEED: u64 = 20_261_120;

/// Turns of each contender.
const TURNS: usize = 60;

const TRANSCODE: &str = "transcode";
const AS_JSON: &str = "ids, JSON kept";
const SCAN: &str = "sonic-rs scan";
const DISPATCH: &str = "as twilight-dispatch";
const TWILIGHT: &str = "twilight parse";
const SERENITY: &str = "serenity parse";

/// What a contender does to one frame; returns how many bytes come of it, or 1 for a success.
type Work = Box<dyn FnMut(&Event) -> usize>;

/// One way to treat frames.
struct Contender {
    name: &'static str,
    work: Work,
    /// Its best turn.
    best: Duration,
    /// What came of the last turn.
    out: usize,
}

/// What the contenders took for some events.
struct Row {
    name: &'static str,
    events: usize,
    json: usize,
    contenders: Vec<Contender>,
}

fn main() {
    let turns = args().find_map(|turns| turns.parse().ok()).unwrap_or(TURNS);
    let mut corpus = Corpus::new(SEED);
    let mix = corpus.mix(1000);
    let data = data(&mix);
    let mut rows = vec![Row::measure("mix", &mix, turns)];
    for (name, kind, count) in [
        ("presence", Kind::Presence, 200),
        ("small message", Kind::MessageSmall, 200),
        ("big message", Kind::MessageBig, 200),
        ("typing", Kind::Typing, 200),
        ("member", Kind::Member, 200),
        ("voice", Kind::Voice, 200),
        ("reaction", Kind::Reaction, 200),
        ("interaction", Kind::Interaction, 200),
        ("message delete", Kind::MessageDelete, 200),
        ("guild", Kind::Guild, 1),
    ] {
        rows.push(Row::measure(name, &corpus.of(kind, count), turns));
    }
    print(&rows);
    judge(&rows[0], data);
}

impl Row {
    /// All contenders over the same events.
    fn measure(name: &'static str, events: &[Event], turns: usize) -> Self {
        let mut contenders = contenders();
        for _ in 0..turns {
            for contender in &mut contenders {
                contender.out = 0;
                let start = Instant::now();
                for event in events {
                    contender.out += (contender.work)(black_box(event));
                }
                contender.best = contender.best.min(start.elapsed());
            }
        }
        let json = events.iter().map(|event| event.frame.len()).sum();
        Self {
            name,
            events: events.len(),
            json,
            contenders,
        }
    }

    fn of(&self, name: &str) -> &Contender {
        let found = self
            .contenders
            .iter()
            .find(|contender| contender.name == name);
        found.expect("every row has all contenders")
    }

    /// How long an event takes.
    fn nanoseconds(&self, name: &str) -> f64 {
        self.of(name).best.as_nanos() as f64 / self.events as f64
    }
}

fn contenders() -> Vec<Contender> {
    let contender = |name, work| Contender {
        name,
        work,
        best: Duration::MAX,
        out: 0,
    };
    vec![
        contender(TRANSCODE, transcode(Lanes::Typed)),
        contender(AS_JSON, transcode(Lanes::Json)),
        contender(SCAN, Box::new(scan)),
        contender(DISPATCH, Box::new(dispatch)),
        contender(TWILIGHT, Box::new(twilight)),
        contender(SERENITY, Box::new(serenity)),
    ]
}

/// From the frame to the whole message that is published.
fn transcode(lanes: Lanes) -> Work {
    let transcoder = Transcoder::new();
    let mut scratch = Scratch::default();
    let received_at = SystemTime::now();
    Box::new(move |event| {
        let frame = Frame::parse(&event.frame).expect("the corpus has frames");
        let envelope = Envelope {
            id: "2d86f1dcba9d4b2e8e5d1c3f0a9b8c7d:123456",
            application_id: 81_384_788_765_712_384,
            name: frame.name.as_deref().unwrap_or_default(),
            source: Source::Ws,
            shard: Some((3, 16)),
            sequence: frame.sequence,
            received_at,
            lanes,
        };
        transcoder
            .event(&envelope, frame.payload, &mut scratch)
            .body
            .len()
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

fn print(rows: &[Row]) {
    print!("\n{:15}{:>9}{:>9}", "events", "JSON B", "ours B");
    for contender in &rows[0].contenders {
        print!("{:>22}", contender.name);
    }
    println!();
    for row in rows {
        let ours = row.of(TRANSCODE).out / row.events;
        print!("{:15}{:>9}{ours:>9}", row.name, row.json / row.events);
        for contender in &row.contenders {
            let taken = row.nanoseconds(contender.name);
            let cell = format!("{taken:.0} ns ({:.2})", taken / row.nanoseconds(TRANSCODE));
            print!("{cell:>22}");
        }
        println!();
    }
    println!("in parentheses: how many times what the transcoder takes, envelope included");
    for row in rows {
        for contender in [TWILIGHT, SERENITY] {
            let read = row.of(contender).out;
            if read < row.events {
                println!(
                    "{contender}: {read} of {} {} events understood",
                    row.events, row.name
                );
            }
        }
    }
}

/// The mix against what is promised of it.
fn judge(mix: &Row, (data, json): (usize, usize)) {
    let ours = mix.nanoseconds(TRANSCODE);
    println!("\nthe mix, from frame to message:");
    println!(
        "  times a validating scan      {:5.2}  (at most 1.5)",
        ours / mix.nanoseconds(SCAN)
    );
    let faster = mix.nanoseconds(DISPATCH) / ours;
    println!("  times faster than dispatch   {faster:5.2}  (at least 5)");
    let share = data as f64 / json as f64;
    println!("  payload, share of its JSON   {share:5.2}  (at most 0.5)");
    let share = mix.of(TRANSCODE).out as f64 / mix.json as f64;
    println!("  message, share of the frame  {share:5.2}");
}
