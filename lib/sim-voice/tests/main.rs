//! The voice server as clients see it.

#[cfg(test)]
mod client;
#[cfg(test)]
mod handshake;
#[cfg(test)]
mod packets;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod songbird;
