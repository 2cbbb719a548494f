//! A lock that outlives a panic: a simulator that is left half-broken by a failed test helps nobody.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks the mutex, also when a thread panicked while it held the lock.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
