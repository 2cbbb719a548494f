//! Lets events, requests, interactions, webhooks and a call pass through the services whose programs are in a folder: `images FOLDER [--any-size]`.
//! It tells how they started, and fails when one needs more memory than it may; with the flag that is only told. What they have to read is
//! written to the folder, too.

use std::{path::Path, process::ExitCode};

use tests::passing::{self, Start};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let (folder, any_size) = match arguments.as_slice() {
        [folder] => (Path::new(folder), false),
        [folder, flag] if flag == "--any-size" => (Path::new(folder), true),
        _ => {
            eprintln!("usage: images FOLDER [--any-size]");
            return ExitCode::from(64);
        }
    };
    match passing::pass(folder, folder).await {
        Ok(starts) => told(&starts, any_size),
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a line for each service; whether all need as little memory as they may.
fn told(starts: &[Start], any_size: bool) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for start in starts {
        let limit = match start.service {
            "gateway-voice" => 30_000_000,
            _ => 20_000_000,
        };
        let (after, resident) = (start.ready_after.as_millis(), start.resident / 1000);
        let service = start.service;
        println!("{service}: ready after {after} ms, with {resident} kB of memory");
        if start.resident > limit && !any_size {
            eprintln!("{service} may have {} kB", limit / 1000);
            code = ExitCode::FAILURE;
        }
    }
    code
}
