//! Who speaks at the moment, as far as it is to be told.

use std::{collections::HashMap, fmt, time::Duration};

use tokio::time::Instant;

/// After so long without sound somebody speaks no more. What is shorter is a breath, and nobody needs to know.
const BREATH: Duration = Duration::from_millis(500);
/// Users who speak at once.
const USERS: usize = 1000;

/// Is told that a user speaks, or does so no more; whether there was room for it. Otherwise it is told again.
pub(crate) type Tell = Box<dyn Fn(u64, bool) -> bool + Send + Sync>;

/// The users of one call who speak.
#[derive(Default)]
pub(crate) struct Speaking {
    tell: Option<Tell>,
    users: HashMap<u64, Mouth>,
}

#[derive(Debug)]
struct Mouth {
    /// When it was heard last.
    heard: Instant,
    /// Whether it was told that it speaks.
    is_told: bool,
}

impl Speaking {
    pub(crate) fn telling(tell: Tell) -> Self {
        Self {
            tell: Some(tell),
            users: HashMap::new(),
        }
    }

    /// Somebody was heard.
    pub(crate) fn heard(&mut self, now: Instant, user: u64) {
        let Some(tell) = &self.tell else {
            return;
        };
        if self.users.len() >= USERS && !self.users.contains_key(&user) {
            return;
        }
        let mouth = self.users.entry(user).or_insert(Mouth {
            heard: now,
            is_told: false,
        });
        mouth.heard = now;
        mouth.is_told |= !mouth.is_told && tell(user, true);
    }

    /// Somebody has left the call: whoever tells that needs to tell no more.
    pub(crate) fn left(&mut self, user: u64) {
        self.users.remove(&user);
    }

    /// Tells what there is to tell. To be called every 20 ms.
    pub(crate) fn tick(&mut self, now: Instant) {
        let Some(tell) = &self.tell else {
            return;
        };
        self.users.retain(|user, mouth| {
            let speaks = now.saturating_duration_since(mouth.heard) < BREATH;
            if speaks != mouth.is_told && tell(*user, speaks) {
                mouth.is_told = speaks;
            }
            speaks || mouth.is_told
        });
    }
}

impl fmt::Debug for Speaking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Speaking")
            .field("users", &self.users)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver},
    };

    use super::*;

    /// With what it tells, and whether there is room for that.
    fn speaking() -> (Speaking, Receiver<(u64, bool)>, Arc<AtomicBool>) {
        let (sender, receiver) = mpsc::channel();
        let has_room = Arc::new(AtomicBool::new(true));
        let room = Arc::clone(&has_room);
        let tell =
            move |user, speaks| room.load(Ordering::Relaxed) && sender.send((user, speaks)).is_ok();
        (Speaking::telling(Box::new(tell)), receiver, has_room)
    }

    #[tokio::test(start_paused = true)]
    async fn each_time_that_somebody_speaks_is_told_and_no_breath() {
        let (mut speaking, told, _) = speaking();
        let began = Instant::now();
        for millis in (0..3000).step_by(20) {
            let now = began + Duration::from_millis(millis);
            // With a breath of 300 ms, and a pause of a second.
            if !(500..800).contains(&millis) && !(1000..2000).contains(&millis) {
                speaking.heard(now, 7);
            }
            speaking.tick(now);
        }
        let told: Vec<_> = told.try_iter().collect();
        assert_eq!(told, [(7, true), (7, false), (7, true)]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_there_is_no_room_for_is_told_later() {
        let (mut speaking, told, has_room) = speaking();
        let now = Instant::now();
        has_room.store(false, Ordering::Relaxed);
        speaking.heard(now, 7);
        speaking.tick(now);
        assert!(told.try_recv().is_err());
        has_room.store(true, Ordering::Relaxed);
        speaking.tick(now);
        assert_eq!(told.try_recv(), Ok((7, true)));
        speaking.left(7);
        speaking.tick(now + BREATH);
        assert!(told.try_recv().is_err(), "who has left is not told");
    }
}
