//! A voice session: who it belongs to, and the messages that it keeps for a resume.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::payload::{Frame, Message, NUMBERED};

/// What the main gateway has told a client: with this it may identify.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The guild.
    pub guild_id: u64,
    /// The channel that the client has joined.
    pub channel_id: u64,
    /// The client's user.
    pub user_id: u64,
    /// What VOICE_STATE_UPDATE said.
    pub session_id: String,
    /// What VOICE_SERVER_UPDATE said.
    pub token: String,
    /// A simulated user who is in the channel before the client, if nobody else is.
    #[serde(default)]
    pub companion: Option<u64>,
}

impl std::fmt::Debug for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grant")
            .field("guild_id", &self.guild_id)
            .field("channel_id", &self.channel_id)
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}

/// The way to a connection.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) connection: u64,
    pub(crate) frames: mpsc::Sender<Frame>,
    /// Drops the TCP connection.
    pub(crate) kill: CancellationToken,
}

impl Link {
    /// A client that does not read what it is sent loses its connection.
    pub(crate) fn send(&self, frame: Frame) {
        if self.frames.try_send(frame).is_err() {
            self.kill.cancel();
        }
    }
}

/// What a session has sent.
#[derive(Debug)]
pub(crate) struct Outbox {
    version: u8,
    limit: usize,
    next: u16,
    kept: VecDeque<Frame>,
    link: Option<Link>,
}

impl Outbox {
    pub(crate) fn new(version: u8, limit: usize, link: Link) -> Self {
        Self {
            version,
            limit,
            next: 0,
            kept: VecDeque::new(),
            link: Some(link),
        }
    }

    pub(crate) fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    /// Gives up the connection if it is this one.
    pub(crate) fn detach(&mut self, connection: u64) -> bool {
        let attached = self
            .link
            .as_ref()
            .is_some_and(|link| link.connection == connection);
        if attached {
            self.link = None;
        }
        attached
    }

    /// Sends a message, or keeps it for a resume. Before version 8 what is sent while there is no connection is lost.
    pub(crate) fn push(&mut self, message: &Message) {
        let numbered = self.version >= NUMBERED && message.is_numbered();
        let frame = message.frame(numbered.then_some(self.next));
        if numbered {
            self.next = self.next.wrapping_add(1);
            self.kept.push_back(frame.clone());
            if self.kept.len() > self.limit {
                self.kept.pop_front();
            }
        }
        if let Some(link) = &self.link {
            link.send(frame);
        }
    }

    /// Takes another connection, and sends it what is missing after the acknowledged message. `false` when that is not
    /// kept any more, or was never sent.
    pub(crate) fn resume(&mut self, link: Link, seq_ack: Option<i64>) -> bool {
        let missing = if self.version < NUMBERED {
            0
        } else {
            let Ok(seen) = u16::try_from(seq_ack.unwrap_or(-1) + 1) else {
                return false;
            };
            usize::from(self.next.wrapping_sub(seen))
        };
        let Some(from) = self.kept.len().checked_sub(missing) else {
            return false;
        };
        link.send(crate::payload::resumed().frame(None));
        for frame in self.kept.range(from..) {
            link.send(frame.clone());
        }
        if let Some(old) = self.link.replace(link) {
            old.kill.cancel();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    use super::{Frame, Link, Message, Outbox};

    fn link(connection: u64) -> (Link, mpsc::Receiver<Frame>) {
        let (frames, inbox) = mpsc::channel(16);
        let kill = CancellationToken::new();
        (
            Link {
                connection,
                frames,
                kill,
            },
            inbox,
        )
    }

    fn read(inbox: &mut mpsc::Receiver<Frame>) -> Vec<String> {
        let mut texts = Vec::new();
        while let Ok(Frame::Text(text)) = inbox.try_recv() {
            texts.push(text);
        }
        texts
    }

    fn message(d: u32) -> Message {
        Message::Text { op: 5, d: json!(d) }
    }

    #[test]
    fn a_resume_sends_what_is_missing() {
        let (first, mut inbox) = link(1);
        let mut outbox = Outbox::new(8, 3, first);
        outbox.push(&message(0));
        assert!(!outbox.detach(9) && outbox.detach(1));
        for d in 1..4 {
            outbox.push(&message(d));
        }
        assert_eq!(read(&mut inbox), [r#"{"d":0,"op":5,"seq":0}"#]);
        let (second, mut inbox) = link(2);
        assert!(outbox.resume(second, Some(1)));
        let expected = [
            r#"{"d":null,"op":9}"#,
            r#"{"d":2,"op":5,"seq":2}"#,
            r#"{"d":3,"op":5,"seq":3}"#,
        ];
        assert_eq!(read(&mut inbox), expected);
        for lost in [None, Some(-1), Some(4), Some(-2), Some(70_000)] {
            assert!(!outbox.resume(link(3).0, lost), "{lost:?}");
        }
    }

    #[test]
    fn old_versions_have_no_numbers_and_keep_nothing() {
        let (first, _inbox) = link(1);
        let mut outbox = Outbox::new(4, 3, first);
        outbox.detach(1);
        outbox.push(&message(0));
        let (second, mut inbox) = link(2);
        assert!(outbox.resume(second, None));
        outbox.push(&message(1));
        assert_eq!(
            read(&mut inbox),
            [r#"{"d":null,"op":9}"#, r#"{"d":1,"op":5}"#]
        );
    }

    #[test]
    fn a_client_that_does_not_read_loses_its_connection() {
        let (first, _inbox) = link(1);
        let kill = first.kill.clone();
        let mut outbox = Outbox::new(8, 3, first);
        for d in 0..17 {
            outbox.push(&message(d));
        }
        assert!(kill.is_cancelled());
    }
}
