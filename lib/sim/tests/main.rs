//! The simulator as clients see it.

#[cfg(test)]
mod client;
#[cfg(test)]
mod control;
#[cfg(test)]
mod emission;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod handshake;
#[cfg(test)]
mod heartbeat;
#[cfg(test)]
mod identify;
#[cfg(test)]
mod interactions;
#[cfg(test)]
mod program;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod rest;
#[cfg(test)]
mod rest_limits;
#[cfg(test)]
mod rest_routes;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod voice;
#[cfg(test)]
mod webhook_events;
