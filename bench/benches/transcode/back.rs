//! From messages back to JSON, beside what others take to write the same objects from their models.

use bench::corpus::Event;
use serenity::model::event::GatewayEvent;
use transcode::{Frame, Lanes, Scratch, Transcoder};

use crate::forth::envelope;
use crate::turns::{Contender, Row};

const RENDER: &str = "render";
const SERENITY: &str = "serenity serialise";
const VALUE: &str = "serde_json value";
const SONIC: &str = "sonic-rs value";

/// One event, as each of the contenders keeps it.
struct Models {
    /// The whole `gateway.v1.Event`.
    message: Vec<u8>,
    serenity: Option<GatewayEvent>,
    value: serde_json::Value,
    sonic: sonic_rs::Value,
}

pub(crate) fn measure(sets: &[(&'static str, Vec<Event>)], turns: usize) {
    let transcoder = Transcoder::new();
    let rows: Vec<_> = sets
        .iter()
        .map(|(name, events)| {
            let models: Vec<_> = events
                .iter()
                .map(|event| Models::new(&transcoder, event))
                .collect();
            let understood = models.iter().filter(|model| model.serenity.is_some());
            let understood = understood.count();
            let row = Row::measure(name, &models, turns, contenders(&transcoder));
            (row, understood)
        })
        .collect();
    println!("\nback, from message to payload:");
    println!(
        "{:15}{:>9}{:>9}{}",
        "events",
        "ours B",
        "theirs B",
        rows[0].0.heads()
    );
    for (row, understood) in &rows {
        let (ours, theirs) = (row.of(RENDER).out, row.of(SERENITY).out);
        let (ours, theirs) = (ours / row.count, theirs / understood.max(&1));
        println!("{:15}{ours:>9}{theirs:>9}{}", row.name, row.cells(RENDER));
    }
    println!("in parentheses: how many times what rendering takes; the models stand ready");
    for (row, understood) in &rows {
        if *understood < row.count {
            println!(
                "serenity: {understood} of {} {} events understood",
                row.count, row.name
            );
        }
    }
    let faster = |row: &Row<'_, Models>| row.nanoseconds(SERENITY) / row.nanoseconds(RENDER);
    let least = rows
        .iter()
        .map(|(row, _)| faster(row))
        .fold(f64::MAX, f64::min);
    println!("\ntimes faster than serde_json with serenity's models:");
    println!(
        "  the mix                      {:5.2}  (at least 1)",
        faster(&rows[0].0)
    );
    println!("  the slowest of all rows      {least:5.2}  (at least 1)");
}

impl Models {
    fn new(transcoder: &Transcoder, event: &Event) -> Self {
        let frame = Frame::parse(&event.frame).expect("the corpus has frames");
        let mut scratch = Scratch::default();
        let envelope = envelope(&frame, Lanes::Typed);
        let encoded = transcoder.event(&envelope, frame.payload, &mut scratch);
        let json = event.payload();
        Self {
            message: encoded.body.to_vec(),
            serenity: serde_json::from_str(&event.frame).ok(),
            value: serde_json::from_str(json).expect("the corpus is JSON"),
            sonic: sonic_rs::from_str(json).expect("the corpus is JSON"),
        }
    }
}

fn contenders(transcoder: &Transcoder) -> Vec<Contender<'_, Models>> {
    let mut scratch = Scratch::default();
    let render = move |models: &Models| {
        let rendered = transcoder.payload(&models.message, &mut scratch);
        rendered.map_or(0, |rendered| rendered.json.len())
    };
    vec![
        Contender::new(RENDER, render),
        Contender::new(SERENITY, |models: &Models| {
            let Some(GatewayEvent::Dispatch(_, event)) = &models.serenity else {
                return 0;
            };
            serde_json::to_vec(event).map_or(0, |json| json.len())
        }),
        Contender::new(VALUE, |models: &Models| {
            serde_json::to_vec(&models.value).map_or(0, |json| json.len())
        }),
        Contender::new(SONIC, |models: &Models| {
            sonic_rs::to_vec(&models.sonic).map_or(0, |json| json.len())
        }),
    ]
}
