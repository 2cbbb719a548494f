//! Configuration: a TOML file under the environment, read once, all mistakes reported at once.

mod certificates;
mod file;
mod key;
mod mistake;
mod names;
mod parse;
mod reader;
mod services;
mod sources;
mod suggest;
#[cfg(test)]
mod tests;

pub use certificates::Certificates;
pub use key::{Each, Key};
pub use mistake::Mistakes;
pub use parse::{Invalid, Parse, Parsed, Size};
pub use reader::Reader;
pub use services::{SERVICES, Service};
