//! What turning frames into messages costs, and turning messages back into JSON: beside a plain scan
//! of the same JSON, and beside what others do. The ratios are of one run.
//!
//! `cargo bench -p bench --bench transcode [-- TURNS]`

mod back;
mod forth;
mod start;
mod turns;

use std::env::args;

use bench::corpus::{Corpus, Event, Kind};

/// Another seed gives other events of the same kinds.
const SEED: u64 = 20_261_120;

/// Turns of each contender.
const TURNS: usize = 60;

/// Events of the mix.
const MIX: usize = 1000;

/// The kinds, and how many events of each.
const KINDS: [(&str, Kind, usize); 11] = [
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
    ("large guild", Kind::GuildLarge, 1),
];

fn main() {
    let turns = args().find_map(|turns| turns.parse().ok()).unwrap_or(TURNS);
    start::measure();
    let mut corpus = Corpus::new(SEED);
    let mut sets: Vec<(&str, Vec<Event>)> = vec![("mix", corpus.mix(MIX))];
    for (name, kind, count) in KINDS {
        sets.push((name, corpus.of(kind, count)));
    }
    forth::measure(&sets, turns);
    back::measure(&sets, turns);
}
