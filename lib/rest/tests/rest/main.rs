//! The service `rest` by its descriptors, all operations of it.

#[cfg(test)]
mod operations;
