//! Transitions: clients say that they are ready, and then all switch at once.

use std::collections::BTreeSet;

use serde_json::json;
use tokio::time::Instant;

use super::{Delivery, Mail};
use crate::payload::Message;

/// A transition that waits for clients.
#[derive(Debug)]
pub(super) struct Transition {
    id: u16,
    version: u16,
    waits_for: BTreeSet<u64>,
    deadline: Instant,
}

impl Delivery {
    /// Executes a transition that some client has not become ready for in time.
    pub(crate) fn tick(&mut self, now: Instant, mail: &mut Mail) {
        let overdue = self
            .transition
            .take_if(|transition| now >= transition.deadline);
        if let Some(transition) = overdue {
            self.execute(&transition, mail);
        }
    }

    pub(super) fn begin(&mut self, waits_for: BTreeSet<u64>, version: u16, now: Instant) -> u16 {
        self.last_transition = self.last_transition.checked_add(1).unwrap_or(1);
        self.transition = Some(Transition {
            id: self.last_transition,
            version,
            waits_for,
            deadline: now + self.rules.transition_timeout,
        });
        self.last_transition
    }

    /// A transition waits for this client no longer.
    pub(super) fn arrived(&mut self, user: u64, id: Option<u16>, mail: &mut Mail) {
        let complete = self.transition.take_if(|transition| {
            let meant = id.is_none_or(|id| id == transition.id);
            meant && transition.waits_for.remove(&user) && transition.waits_for.is_empty()
        });
        if let Some(transition) = complete {
            self.execute(&transition, mail);
        }
    }

    fn execute(&mut self, transition: &Transition, mail: &mut Mail) {
        self.version = transition.version;
        self.executed += 1;
        let d = json!({"transition_id": transition.id});
        mail.extend(self.clients.iter().map(|user| {
            (
                *user,
                Message::Text {
                    op: 22,
                    d: d.clone(),
                },
            )
        }));
    }
}
