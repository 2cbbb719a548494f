//! What songbird hears of simulated speakers.

#[cfg(test)]
mod hearing;
