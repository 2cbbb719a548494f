//! Emits realistic events, at a rate or as fast as clients take them.

mod emission;
mod events;
mod kinds;
mod mark;
mod mix;
mod pace;
mod run;
mod template;
pub(crate) mod words;

pub(crate) use emission::Emission;
pub use emission::{EmitRequest, Progress};
pub(crate) use mark::write_mark;
pub use mix::Mix;
pub(crate) use run::serve;
