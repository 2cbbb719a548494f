//! Plays the scenarios and prints a table: `chaos SECONDS [NAME…]` in full, `chaos short [NAME…]` as the tests do.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use tests::{
    chaos::{Length, Row, SCENARIOS, Scenario},
    service::programs,
};

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().context("for how many seconds?")?;
    let length = match seconds.as_str() {
        "short" => Length::short(),
        seconds => Length::full(seconds.parse().context("seconds are a number")?),
    };
    let names: Vec<String> = arguments.collect();
    let scenarios = match names.as_slice() {
        [] => SCENARIOS.iter().collect(),
        names => named(names)?,
    };
    let program = programs()?.join("gateway-ws");
    println!("{}", Row::head());
    let mut broken = 0;
    for scenario in scenarios {
        match scenario.play(program.clone(), length).await {
            Ok(row) => {
                broken += usize::from(!row.broken.is_empty());
                println!("{row}");
            }
            Err(error) => {
                broken += 1;
                println!("{:<38} FAILED: {error:#}", scenario.name);
            }
        }
    }
    match broken {
        0 => Ok(ExitCode::SUCCESS),
        _ => {
            println!("{broken} scenarios broke their promises");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn named(names: &[String]) -> Result<Vec<&'static Scenario>> {
    let find = |name: &String| {
        Scenario::find(name).with_context(|| {
            let known: Vec<_> = SCENARIOS.iter().map(|it| it.name).collect();
            format!(
                "there is no scenario {name:?}; there are: {}",
                known.join(" ")
            )
        })
    };
    names.iter().map(find).collect()
}
