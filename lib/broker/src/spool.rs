//! Messages that wait on disk.

/// A file of the spool.
#[derive(Debug)]
pub(crate) struct Segment;
