//! What Discord has just said not to exist: asking again would only be counted against us.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::Answer;
use crate::route::Route;

/// How long it is remembered.
const REMEMBERED: Duration = Duration::from_secs(60);
/// How much is remembered at most; the oldest is forgotten.
const MOST: usize = 10_000;

/// Channels and webhooks that are gone, and tokens of webhooks that are none.
#[derive(Debug, Default)]
pub(super) struct Gone {
    codes: HashMap<Arc<str>, (u32, Duration)>,
    order: VecDeque<(Arc<str>, Duration)>,
}

impl Gone {
    /// Remembers the answer, if it says that the route's resource is gone; forgets it when the resource answers.
    pub(super) fn answered(&mut self, now: Duration, route: &Route, answer: &Answer) {
        if (200..300).contains(&answer.status) {
            self.codes.remove(&route.major);
        }
        let gone = match (answer.status, answer.code) {
            (404, Some(code @ 10_003)) if route.is_of_channel() => code,
            (404, Some(code @ 10_015)) | (401, Some(code @ 50_027))
                if route.major.starts_with("webhooks/") =>
            {
                code
            }
            _ => return,
        };
        self.codes
            .insert(Arc::clone(&route.major), (gone, now + REMEMBERED));
        self.order
            .push_back((Arc::clone(&route.major), now + REMEMBERED));
        while self
            .order
            .front()
            .is_some_and(|(_, until)| self.order.len() > MOST || *until <= now)
        {
            let Some((major, until)) = self.order.pop_front() else {
                break;
            };
            // It may have been learned anew since.
            if self
                .codes
                .get(&major)
                .is_some_and(|(_, newer)| *newer <= until)
            {
                self.codes.remove(&major);
            }
        }
    }

    /// Discord's code, if the route's resource is gone.
    pub(super) fn code(&self, now: Duration, route: &Route) -> Option<u32> {
        let (code, until) = self.codes.get(&route.major)?;
        (now < *until).then_some(*code)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Answer, Gone, MOST, Route};
    use crate::route::Method;

    fn route(path: &str) -> Route {
        Route::new(Method::Post, path, 77, 0).unwrap()
    }

    fn not_found(code: u32) -> Answer {
        Answer {
            status: 404,
            code: Some(code),
            ..Answer::default()
        }
    }

    #[test]
    fn a_channel_or_webhook_that_is_gone_is_remembered_for_a_while() {
        let mut gone = Gone::default();
        let now = Duration::from_secs(5);
        let channel = route("/channels/1/messages");
        gone.answered(now, &channel, &not_found(10_003));
        assert_eq!(gone.code(now, &route("/channels/1/typing")), Some(10_003));
        assert_eq!(gone.code(now, &route("/channels/2/typing")), None);
        assert_eq!(gone.code(now + super::REMEMBERED, &channel), None);
        gone.answered(
            now,
            &channel,
            &Answer {
                status: 200,
                ..Answer::default()
            },
        );
        assert_eq!(gone.code(now, &channel), None);
    }

    #[test]
    fn a_wrong_token_of_a_webhook_says_nothing_of_its_right_one() {
        let mut gone = Gone::default();
        let now = Duration::from_secs(5);
        let wrong = Answer {
            status: 401,
            code: Some(50_027),
            ..Answer::default()
        };
        gone.answered(now, &route("/webhooks/5/wrong"), &wrong);
        gone.answered(now, &route("/channels/5/messages"), &wrong);
        assert_eq!(gone.code(now, &route("/webhooks/5/wrong")), Some(50_027));
        assert_eq!(gone.code(now, &route("/webhooks/5/right")), None);
        assert_eq!(gone.code(now, &route("/channels/5/messages")), None);
    }

    #[test]
    fn what_is_missing_inside_a_resource_says_nothing_of_the_resource() {
        let mut gone = Gone::default();
        let now = Duration::from_secs(5);
        for (path, code) in [
            ("/channels/1/messages", 10_008),
            // The channel that should follow, not this one.
            ("/channels/1/followers", 10_003),
            ("/webhooks/5/tok", 10_003),
            ("/guilds/1/roles", 10_004),
        ] {
            gone.answered(now, &route(path), &not_found(code));
            assert_eq!(gone.code(now, &route(path)), None, "{path}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut gone = Gone::default();
        for number in 0..MOST + 10 {
            let path = format!("/webhooks/{number}/t");
            gone.answered(Duration::ZERO, &route(&path), &not_found(10_015));
        }
        assert_eq!((gone.codes.len(), gone.order.len()), (MOST, MOST));
    }
}
