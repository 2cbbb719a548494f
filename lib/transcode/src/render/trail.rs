//! Mistakes, and the way to them.
//!
//! Functions on the way that is usually taken return an `Option`, which fits into registers. What was
//! wrong is noted where it was found, and the way to it from there outwards, by all that it lay in.

use super::Render;
use crate::error::{Error, Mistake};
use crate::scan::Rest;
use crate::table::Tables;

/// One step on the way to a mistake.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// The field with this index of the message with that one.
    Field(u32, u8),
    Index(usize),
    /// One of the three fields of our own.
    Own(&'static str),
}

impl<'a> Render<'a> {
    /// Ends the pass, because the fields are not in the usual order.
    #[cold]
    pub(super) fn unusual<T>(&mut self) -> Option<T> {
        None
    }

    #[cold]
    #[inline(never)]
    pub(super) fn wrong<T>(&mut self, mistake: Mistake) -> Option<T> {
        self.mistake = Some(mistake);
        None
    }

    #[cold]
    pub(super) fn malformed<T>(&mut self, reason: &str) -> Option<T> {
        self.wrong(Mistake::Malformed(reason.to_owned()))
    }

    /// Text that should be JSON.
    #[cold]
    pub(super) fn no_json<T>(&mut self, error: Error) -> Option<T> {
        self.wrong(Mistake::Json(error))
    }

    /// Notes where something went wrong: either it was noticed further in, or what has been read went
    /// beyond the end of the message.
    #[cold]
    #[inline(never)]
    pub(super) fn within(&mut self, step: Step, rest: Rest<'a>) -> Rest<'a> {
        if rest.is_some() {
            self.mistake = Some(Mistake::Truncated);
        }
        self.path.push(step);
        None
    }
}

/// The path to a mistake, in words.
pub(super) fn spell(tables: &Tables, steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps.iter().rev() {
        let name = match *step {
            Step::Field(message, index) => tables.messages[message as usize].keys.name(index),
            Step::Own(name) => name,
            Step::Index(index) => {
                path.push_str(&format!("[{index}]"));
                continue;
            }
        };
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(name);
    }
    path
}
