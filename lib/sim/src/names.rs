//! Event names as small numbers, because sessions remember the name of each event that they dispatched.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use sim_voice::lock;

/// A name's number.
pub(crate) type NameId = u16;

/// All names seen so far.
#[derive(Debug, Default)]
pub(crate) struct Names(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    names: Vec<Arc<str>>,
    ids: HashMap<Arc<str>, NameId>,
}

impl Names {
    /// The number of the name; names beyond 65,535 share the last one.
    pub(crate) fn id(&self, name: &str) -> NameId {
        let mut table = lock(&self.0);
        if let Some(id) = table.ids.get(name) {
            return *id;
        }
        let Ok(id) = NameId::try_from(table.names.len()) else {
            return NameId::MAX;
        };
        let name: Arc<str> = name.into();
        table.names.push(Arc::clone(&name));
        table.ids.insert(name, id);
        id
    }

    /// All names in the order of their numbers.
    pub(crate) fn list(&self) -> Vec<String> {
        lock(&self.0)
            .names
            .iter()
            .map(|name| name.to_string())
            .collect()
    }
}
