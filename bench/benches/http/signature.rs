//! What everybody has to do for an interaction: look at its signature.

use std::{process, time::Duration};

use anyhow::{Result, ensure};
use bench::process::threads;
use tokio::time::Instant;

use crate::{
    interactions::{Interactions, Signed},
    load::Sum,
};

/// Looks at so many.
pub(crate) fn turn(count: usize) -> Result<Sum> {
    let all = Interactions::new();
    let key = all.public_key();
    let messages: Vec<_> = all
        .sign(count, Signed::Right)
        .into_iter()
        .map(|it| (it.message(), it.signature))
        .collect();
    let used = || anyhow::Ok(threads(process::id())?.values().sum::<Duration>());
    let (before, start) = (used()?, Instant::now());
    let is_right =
        |(message, signature): &(Vec<u8>, _)| key.verify_strict(message, signature).is_ok();
    let right = messages.iter().filter(|it| is_right(it)).count();
    let (after, wall) = (used()?, start.elapsed());
    ensure!(right == count, "a signature is wrong");
    Ok(Sum::new(count, wall, after.saturating_sub(before)))
}
