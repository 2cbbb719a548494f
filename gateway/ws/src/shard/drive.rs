//! A shard reads one connection to its end.

use super::{Over, Shard, Taken};
use crate::{
    Error,
    connection::{Connection, Input},
    loss::Loss,
    reshard::Place,
};
use discord::{close::Next, opcode};
use futures_util::future::poll_immediate;
use std::future;
use tokio_util::sync::CancellationToken;
use transcode::Frame;

/// How many payloads in a row are read before anything else gets a look.
const BURST: u32 = 32;

impl Shard {
    /// Reads one connection to its end.
    pub(super) async fn drive(
        &mut self,
        connection: &mut Connection,
        stop: &CancellationToken,
    ) -> Result<Over, Error> {
        let mut burst = BURST;
        loop {
            if self.turn.has_changed().unwrap_or_default() {
                self.follow();
            }
            if !self.due.is_empty()
                && let Some(over) = self.flush(stop).await?
            {
                return Ok(over);
            }
            // What has come already is read without looking at anything else, but not for ever.
            let at_once = match burst {
                0 => None,
                _ => poll_immediate(connection.next()).await,
            };
            if let Some(input) = at_once {
                burst -= 1;
                if let Some(over) = self.taken(connection, input, stop).await? {
                    return Ok(over);
                }
                continue;
            }
            burst = BURST;
            let ends = self.place == Place::Ending && connection.is_active();
            let input = tokio::select! {
                biased;
                // Asked again: it may have got its permit, and identified, while this waited.
                () = stop.cancelled(), if !connection.awaits_ready() => match connection.awaits_ready() {
                    true => continue,
                    false => return Ok(Over::Stopped),
                },
                _ = self.tick.tick() => match self.look_up(connection) {
                    Some(over) => return Ok(over),
                    None => continue,
                },
                payload = self.line.next(), if connection.takes_commands() => {
                    match connection.send(payload).await {
                        Some(input) => input,
                        None => continue,
                    }
                }
                input = connection.next() => input,
                // Only asked for when nothing has come, since it takes longer.
                _ = self.turn.changed() => {
                    self.follow();
                    continue;
                }
                // Nothing more has come.
                () = future::ready(()), if ends => return Ok(Over::Ended),
            };
            if let Some(over) = self.taken(connection, input, stop).await? {
                return Ok(over);
            }
        }
    }

    /// Says now and then how it is; whether the connection is over, because nobody may identify.
    fn look_up(&mut self, connection: &Connection) -> Option<Over> {
        self.count();
        self.show();
        self.report_soon();
        self.note_release();
        let shared = &self.shared;
        shared
            .metrics
            .latency(self.lease.shard, connection.latency());
        let why = shared.permits.exhausted()?;
        let is_idle = connection.awaits_permit();
        is_idle.then(|| Over::Lost(Loss::exhausted(why)))
    }

    /// Deals with what the connection brought; why it is over, if it is.
    async fn taken(
        &mut self,
        connection: &mut Connection,
        input: Input,
        stop: &CancellationToken,
    ) -> Result<Option<Over>, Error> {
        match self.take(connection, input) {
            Taken::Over(over) => Ok(Some(over)),
            Taken::Event(sequence, message, event) => {
                let over = self.publish(sequence, message, event, stop).await?;
                self.account.offered(over.is_none());
                Ok(over)
            }
            Taken::Nothing => Ok(None),
        }
    }

    /// Decides what to do with what the connection brought.
    fn take(&mut self, connection: &mut Connection, input: Input) -> Taken {
        match input {
            Input::Closed { next, code, reason } => {
                Taken::Over(Over::Lost(Loss::closed(next, code, reason)))
            }
            Input::ConnectFailed(cause) => {
                self.detour = !self.detour;
                Taken::Over(Over::Lost(Loss::unreachable(&cause)))
            }
            Input::Frame(text) => {
                let taken = self.frame(connection, &text);
                connection.reuse(text);
                taken
            }
        }
    }

    /// Decides by opcode.
    fn frame(&mut self, connection: &mut Connection, text: &str) -> Taken {
        let frame = match Frame::parse(text) {
            Ok(frame) => frame,
            Err(error) => {
                self.shared.malformed(&error.to_string(), text.len());
                return Taken::Nothing;
            }
        };
        connection.heed(&frame);
        match frame.op {
            opcode::DISPATCH => return self.dispatch(connection, &frame),
            opcode::RECONNECT | opcode::INVALID_SESSION => {}
            opcode::HEARTBEAT | opcode::HEARTBEAT_ACK | opcode::HELLO => return Taken::Nothing,
            unknown => {
                self.shared.unknown_opcode(unknown);
                return Taken::Nothing;
            }
        }
        // A refused session is gone from the connection; one to be resumed is still there.
        let next = if connection.ready().is_some() {
            Next::Resume
        } else {
            Next::Identify
        };
        Taken::Over(Over::Lost(if frame.op == opcode::RECONNECT {
            Loss::reconnect(next)
        } else {
            Loss::invalid_session(next)
        }))
    }
}
