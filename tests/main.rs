//! What holds for the tree and for the system as a whole.

mod api;
mod broker;
mod chaos;
mod client;
mod configuration;
mod contract;
mod golden;
mod http;
mod layers;
mod own;
mod promises;
mod readme;
mod rights;
mod tree;
mod voice;
mod webhook;
mod ws;
