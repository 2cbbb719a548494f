//! A wall around decoders: files come from anywhere, and what makes a decoder panic must not end the thread
//! that mixes the sound of other calls too.

use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia::core::errors::{Error, Result};

/// Runs what reads foreign bytes. What it used is not to be used any more after a panic, except to be dropped
/// or to be called here again.
pub(crate) fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or(Err(Error::Unsupported(
        "content that makes its decoder fail",
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        let bytes: Vec<u8> = Vec::new();
        assert!(guarded(|| Ok(bytes[bytes.len()])).is_err());
        assert_eq!(guarded(|| Ok(1)).unwrap(), 1);
    }
}
