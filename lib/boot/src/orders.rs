//! What a service does once, in place of running.

use std::{collections::BTreeMap, sync::Arc};

/// A flag of the command line with a value: the service does what it says, and ends.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// The flag, without the dashes in front.
    pub name: &'static str,
    /// What its value is called.
    pub value: &'static str,
    /// What it does.
    pub help: &'static str,
}

/// What was ordered, by the names of the flags.
#[derive(Clone, Debug, Default)]
pub struct Orders(pub(crate) Arc<BTreeMap<&'static str, String>>);

impl Orders {
    /// The value of a flag, if it was given.
    #[must_use]
    pub fn get(&self, order: &Order) -> Option<&str> {
        self.0.get(order.name).map(String::as_str)
    }

    /// Whether the service is to run.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
