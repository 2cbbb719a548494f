//! What is kept from call to call, so as not to allocate.

use crate::walk::State;

/// What one shard, or whoever else transcodes, keeps from call to call, so as not to allocate. It
/// holds the last result until the next call.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) state: State,
    /// The keys of the maps that are open, to find those that come twice.
    pub(crate) keys: Vec<u64>,
}
