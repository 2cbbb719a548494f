//! Lets events, requests, interactions and webhooks pass through the services whose programs are in a folder: `images FOLDER`.

use std::{path::Path, process::ExitCode};

#[tokio::main]
async fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("usage: images FOLDER");
        return ExitCode::from(64);
    };
    match tests::passing::pass(Path::new(&folder)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    }
}
