//! A Discord to test against, as a program.

use std::io::stderr;

use clap::Parser;
use sim::cli::{self, Arguments};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt().with_writer(stderr).init();
    cli::run(arguments).await?;
    Ok(())
}
