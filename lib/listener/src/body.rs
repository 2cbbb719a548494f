//! Takes a request's body, as long as there is room for it.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

/// What room is counted in.
const BLOCK: usize = 1024;

/// The memory for all bodies.
#[derive(Debug)]
pub struct Bodies {
    /// How long one may be.
    longest: usize,
    /// Blocks that are free.
    room: Arc<Semaphore>,
}

/// A body, and the room that it takes until it is dropped.
#[derive(Debug)]
pub struct Body {
    /// What was sent.
    pub bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

/// Why there is no body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyError {
    /// It ended too early.
    Broken,
    /// All memory for bodies is taken.
    NoRoom,
    /// It did not come in time.
    Slow,
    /// It is longer than the bytes that it may have.
    TooLarge(usize),
}

impl Bodies {
    /// Room for so many bytes together, of which one body may have so many.
    #[must_use]
    pub fn new(longest: usize, window: usize) -> Self {
        let blocks = window.max(longest).div_ceil(BLOCK);
        let room = Arc::new(Semaphore::new(blocks.min(Semaphore::MAX_PERMITS)));
        Self { longest, room }
    }

    /// Reads a body until the deadline.
    ///
    /// Its room is taken before the first byte, and nobody waits for it: those that have some could otherwise wait for
    /// each other.
    ///
    /// # Errors
    ///
    /// It is too long, too slow or broken, or there is no room.
    pub async fn read(&self, mut body: Incoming, deadline: Instant) -> Result<Body, BodyError> {
        if body.is_end_stream() {
            return Ok(Body {
                bytes: Bytes::new(),
                _room: None,
            });
        }
        let named = body.size_hint().exact();
        let length = named.map_or(self.longest, |length| {
            usize::try_from(length).unwrap_or(usize::MAX)
        });
        if length > self.longest {
            // Who has not sent all of it would not look at an answer.
            self.waste(body, deadline).await;
            return Err(BodyError::TooLarge(self.longest));
        }
        let blocks = u32::try_from(length.div_ceil(BLOCK)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(blocks);
        let Ok(mut room) = room else {
            self.waste(body, deadline).await;
            return Err(BodyError::NoRoom);
        };
        let read = Limited::new(&mut body, self.longest).collect();
        let bytes = match timeout_at(deadline, read).await {
            Ok(Ok(collected)) => collected.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                self.waste(body, deadline).await;
                return Err(BodyError::TooLarge(self.longest));
            }
            Ok(Err(_)) => return Err(BodyError::Broken),
            Err(_) => return Err(BodyError::Slow),
        };
        let unused = blocks as usize - bytes.len().div_ceil(BLOCK);
        drop(room.split(unused));
        Ok(Body {
            bytes,
            _room: Some(room),
        })
    }

    /// Reads and forgets a body, or a good deal of it.
    async fn waste(&self, mut body: Incoming, deadline: Instant) {
        let mut left = self.longest.saturating_mul(2);
        let all = async {
            while let Some(Ok(frame)) = body.frame().await {
                left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
                if left == 0 {
                    break;
                }
            }
        };
        // Too late is as good as done.
        timeout_at(deadline, all).await.ok();
    }
}
