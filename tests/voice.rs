//! `gateway-voice` between workers and Discord: what is asked for by message is heard at Discord's voice server.

mod bad_input;
mod company;
mod connection;
mod ears;
mod files;
mod members;
mod nodes;
mod play;
mod quality;
mod receive;
mod recordings;
mod stage;
