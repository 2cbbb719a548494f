//! All operations of the contract.

use std::collections::BTreeMap;

use transcode::Schema;

use crate::Operation;

/// All operations, with the schema of their messages. It never changes, so all threads share one.
#[derive(Debug)]
pub struct Operations {
    pub(crate) schema: Schema,
    by_name: BTreeMap<String, Operation>,
}

impl Operations {
    /// Reads the descriptors. That takes some milliseconds.
    pub fn new() -> Self {
        let schema = Schema::new(wire::rest::descriptors());
        let methods = wire::rest::service();
        let by_name = methods
            .methods()
            .filter_map(|method| {
                let operation = Operation::read(&method, &schema)?;
                Some((method.name().to_owned(), operation))
            })
            .collect();
        Self { schema, by_name }
    }

    /// All messages of the contract, those of the operations included.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The operation of this name, for example `CreateMessage`.
    pub fn find(&self, name: &str) -> Option<&Operation> {
        self.by_name.get(name)
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = &Operation> {
        self.by_name.values()
    }
}

impl Default for Operations {
    fn default() -> Self {
        Self::new()
    }
}
