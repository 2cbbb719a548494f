//! Messages that wait for RabbitMQ's word. Each is told as soon as it has come, whatever becomes of those before it.
//!
//! RabbitMQ counts the messages of a channel from 1. One that no queue takes comes back, without its number, and only then is
//! confirmed: so it is looked for by its routing key and its correlation id.

use std::collections::VecDeque;

use boot::Span;
use tokio::sync::oneshot;

use super::confirms::{Answer, Unknown, meant};
use crate::AskError;

/// The messages of a channel.
#[derive(Debug)]
pub(super) struct Asked {
    /// The number of the oldest that waits.
    first: u64,
    /// `None`: it was told while an older one waits.
    waiting: VecDeque<Option<Waiting>>,
}

/// A message that was sent.
#[derive(Debug)]
pub(super) struct Waiting {
    /// What it comes back by, if it is one of those that do.
    pub(super) name: Option<Name>,
    /// Who is told.
    pub(super) done: oneshot::Sender<Result<(), AskError>>,
    /// Ends with the confirm.
    pub(super) trace: Option<Span>,
}

/// What a message is known by when it comes back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) routing_key: String,
    pub(super) correlation_id: String,
}

impl Asked {
    pub(super) fn new() -> Self {
        Self {
            first: 1,
            waiting: VecDeque::new(),
        }
    }

    /// How many messages the oldest that waits has behind it, and itself.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Another message was sent.
    pub(super) fn sent(&mut self, waiting: Waiting) {
        self.waiting.push_back(Some(waiting));
    }

    /// A message came back: no queue is bound for it.
    pub(super) fn returned(&mut self, name: &Name) {
        let is_it = |waiting: &&mut Option<Waiting>| {
            let its = waiting.as_ref().and_then(|waiting| waiting.name.as_ref());
            its == Some(name)
        };
        // Those that come back do so in the order in which they were sent, so it is one of the first.
        let found = self.waiting.iter_mut().find(is_it).and_then(Option::take);
        if let Some(found) = found {
            tell(found, Err(AskError::Nobody));
        }
    }

    /// Takes the answer to the message with this number, or to all up to it (0: to all).
    pub(super) fn answered(
        &mut self,
        number: u64,
        all: bool,
        answer: Answer,
    ) -> Result<(), Unknown> {
        let meant = meant(self.first, self.waiting.len(), number, all)?;
        let result = match answer {
            Answer::Confirmed => Ok(()),
            Answer::Refused => Err(AskError::Lost),
        };
        for waiting in self.waiting.range_mut(meant) {
            if let Some(waiting) = waiting.take() {
                tell(waiting, result);
            }
        }
        while self.waiting.pop_front_if(|it| it.is_none()).is_some() {
            self.first += 1;
        }
        Ok(())
    }
}

fn tell(waiting: Waiting, result: Result<(), AskError>) {
    if let (Some(trace), Ok(())) = (&waiting.trace, result) {
        trace.moment("confirmed");
    }
    // Whoever does not wait any more does not care.
    waiting.done.send(result).ok();
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::{Receiver, error::TryRecvError};

    use super::*;

    type Told = Receiver<Result<(), AskError>>;

    fn name(id: u64) -> Name {
        Name {
            routing_key: "1.A".to_owned(),
            correlation_id: id.to_string(),
        }
    }

    /// So many that are sent, and their ends.
    fn sent(count: u64) -> (Asked, Vec<Told>) {
        let mut asked = Asked::new();
        let told = (1..=count).map(|id| {
            let (done, told) = oneshot::channel();
            asked.sent(Waiting {
                name: Some(name(id)),
                done,
                trace: None,
            });
            told
        });
        let told = told.collect();
        (asked, told)
    }

    fn confirm(asked: &mut Asked, number: u64, all: bool) {
        asked.answered(number, all, Answer::Confirmed).unwrap();
    }

    #[test]
    fn each_is_told_at_once_in_whatever_order() {
        let (mut asked, mut told) = sent(4);
        confirm(&mut asked, 3, false);
        assert_eq!(told[2].try_recv(), Ok(Ok(())));
        assert_eq!(told[0].try_recv(), Err(TryRecvError::Empty));
        assert_eq!(asked.len(), 4);
        confirm(&mut asked, 2, true);
        assert_eq!(told[0].try_recv(), Ok(Ok(())));
        assert_eq!(told[1].try_recv(), Ok(Ok(())));
        assert_eq!(asked.len(), 1, "the third was told before");
        asked.answered(4, false, Answer::Refused).unwrap();
        assert_eq!(told[3].try_recv(), Ok(Err(AskError::Lost)));
        assert_eq!(asked.len(), 0);
    }

    #[test]
    fn who_comes_back_is_told_and_nobody_else() {
        let (mut asked, mut told) = sent(3);
        asked.returned(&name(2));
        assert_eq!(told[1].try_recv(), Ok(Err(AskError::Nobody)));
        // Its own confirm, and one of all three.
        confirm(&mut asked, 2, false);
        confirm(&mut asked, 0, true);
        assert_eq!(told[0].try_recv(), Ok(Ok(())));
        assert_eq!(told[2].try_recv(), Ok(Ok(())));
        assert_eq!(asked.len(), 0);
        asked.returned(&name(9));
    }

    #[test]
    fn an_id_is_not_taken_for_that_of_another_key() {
        let (mut asked, mut told) = sent(1);
        asked.returned(&Name {
            routing_key: "2.A".to_owned(),
            correlation_id: "1".to_owned(),
        });
        confirm(&mut asked, 1, false);
        assert_eq!(told[0].try_recv(), Ok(Ok(())));
    }

    #[test]
    fn what_is_answered_twice_counts_once_and_what_was_never_sent_is_an_error() {
        let (mut asked, _told) = sent(2);
        confirm(&mut asked, 1, false);
        confirm(&mut asked, 1, true);
        assert_eq!(asked.len(), 1);
        for all in [false, true] {
            for number in [3, u64::MAX] {
                let answered = asked.answered(number, all, Answer::Confirmed);
                assert_eq!(answered, Err(Unknown(number)));
            }
        }
        confirm(&mut asked, 2, false);
        confirm(&mut asked, 0, true);
    }

    #[test]
    fn who_waits_when_the_connection_ends_hears_of_it() {
        let (asked, mut told) = sent(1);
        drop(asked);
        assert_eq!(told[0].try_recv(), Err(TryRecvError::Closed));
    }
}
