//! The scenarios that take things away from services under load, each with what it promises.
//!
//! Each has two lengths: a short one among the tests, and a full one in the program `chaos`, which prints a table.

pub mod row;
mod scenarios;
pub mod trial;

use std::path::PathBuf;

use anyhow::Result;
use futures_util::future::BoxFuture;

pub use self::{row::Row, scenarios::SCENARIOS};

/// One of them.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What happens, in words.
    pub name: &'static str,
    /// Plays it.
    pub run: fn(Stage) -> BoxFuture<'static, Result<Row>>,
}

/// What a scenario is played with.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The scenario's name.
    pub name: &'static str,
    /// The program `gateway-ws`.
    pub program: PathBuf,
    /// How long and how hard.
    pub length: Length,
}

/// How long and how hard a scenario is.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    /// How long events are emitted, or interactions sent.
    pub seconds: u64,
    /// Events per second over all shards.
    pub rate: f64,
    /// Shards in the set.
    pub shards: u32,
    /// Interactions of a run of them.
    pub interactions: u32,
    /// Whether promises about speed are judged: only on a machine that has nothing else to do.
    pub strict: bool,
}

impl Length {
    /// What the promises are about: 16 shards and 2,000 events a second, 10,000 interactions.
    pub fn full(seconds: u64) -> Self {
        Self {
            seconds,
            rate: 2000.0,
            shards: 16,
            interactions: 10_000,
            strict: true,
        }
    }

    /// Some seconds beside other tests.
    pub fn short() -> Self {
        Self {
            seconds: 6,
            rate: 300.0,
            shards: 8,
            interactions: 600,
            strict: false,
        }
    }
}

impl Scenario {
    /// The scenario with this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }

    /// Plays it once.
    pub async fn play(&self, program: PathBuf, length: Length) -> Result<Row> {
        let stage = Stage {
            name: self.name,
            program,
            length,
        };
        (self.run)(stage).await
    }
}
