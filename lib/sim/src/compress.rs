//! Transport compression: one stream per connection, flushed after each payload.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status, write::ZlibEncoder};
use serde::{Deserialize, Serialize};
use tokio_websockets::Message;
use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, zstd_sys::ZSTD_EndDirective};

use crate::config::Config;

/// Payload compression leaves shorter payloads as they are.
const PAYLOAD_THRESHOLD: usize = 512;

/// How far back zstd-stream looks: 256 KiB, and as much memory for each connection at the client.
///
/// See [How Discord reduced websocket traffic](https://discord.com/blog/how-discord-reduced-websocket-traffic-by-40-percent).
const ZSTD_WINDOW: CParameter = CParameter::WindowLog(18);

/// What the client asked for in the gateway URL.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum Transport {
    /// One text message per payload.
    #[default]
    #[serde(rename = "none")]
    Plain,
    /// One zlib stream; a payload ends with `00 00 FF FF`.
    #[serde(rename = "zlib-stream")]
    Zlib,
    /// One zstd frame that never ends; one message per payload.
    #[serde(rename = "zstd-stream")]
    Zstd,
}

/// Turns payloads into websocket messages.
pub(crate) enum Encoder {
    Plain { compress_payloads: bool },
    Zlib(Box<Compress>),
    Zstd(CCtx<'static>),
}

impl Encoder {
    pub(crate) fn new(transport: Transport, config: &Config) -> Self {
        match transport {
            Transport::Plain => Self::Plain {
                compress_payloads: false,
            },
            Transport::Zlib => {
                let level = Compression::new(config.zlib_level);
                Self::Zlib(Box::new(Compress::new(level, true)))
            }
            Transport::Zstd => {
                let mut context = CCtx::create();
                let level = CParameter::CompressionLevel(config.zstd_level);
                for parameter in [level, ZSTD_WINDOW] {
                    if let Err(code) = context.set_parameter(parameter) {
                        let error = zstd_safe::get_error_name(code);
                        tracing::warn!(error, "zstd goes on with a parameter of its own");
                    }
                }
                Self::Zstd(context)
            }
        }
    }

    /// Compresses long payloads one by one, as `compress` in Identify asks for.
    pub(crate) fn compress_payloads(&mut self) {
        if let Self::Plain { compress_payloads } = self {
            *compress_payloads = true;
        }
    }

    /// Appends the messages of one payload; a zlib-stream is cut into `split` of them.
    pub(crate) fn encode(&mut self, payload: Bytes, split: usize, messages: &mut Vec<Message>) {
        match self {
            Self::Plain { compress_payloads } => {
                if *compress_payloads && payload.len() >= PAYLOAD_THRESHOLD {
                    messages.push(Message::binary(whole(&payload)));
                } else {
                    messages.push(Message::text(payload));
                }
            }
            Self::Zlib(context) => {
                let mut rest = Bytes::from(deflate(context, &payload));
                let size = rest.len().div_ceil(split.max(1)).max(1);
                while rest.len() > size {
                    messages.push(Message::binary(rest.split_to(size)));
                }
                messages.push(Message::binary(rest));
            }
            Self::Zstd(context) => messages.push(Message::binary(zstd(context, &payload))),
        }
    }
}

/// The payload as a zlib stream of its own.
fn whole(payload: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(payload)
        .and_then(|()| encoder.finish())
        .expect("writing to a Vec does not fail")
}

/// The payload's part of the shared zlib stream, up to the sync flush.
fn deflate(context: &mut Compress, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() / 2 + 64);
    let before = context.total_in();
    loop {
        let used = usize::try_from(context.total_in() - before).unwrap_or(payload.len());
        let rest = payload.get(used..).unwrap_or_default();
        let status = context.compress_vec(rest, &mut out, FlushCompress::Sync);
        // A full output means that there may be more; room left over means that the flush is done.
        if out.len() < out.capacity() || !matches!(status, Ok(Status::Ok)) {
            return out;
        }
        out.reserve(out.len().max(64));
    }
}

/// The payload's part of the shared zstd frame, up to the flush.
fn zstd(context: &mut CCtx<'_>, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(zstd_safe::compress_bound(payload.len()) + 64);
    let mut input = InBuffer::around(payload);
    loop {
        let position = out.len();
        let mut output = OutBuffer::around_pos(&mut out, position);
        let flush = ZSTD_EndDirective::ZSTD_e_flush;
        match context.compress_stream2(&mut output, &mut input, flush) {
            Ok(0) => return out,
            Ok(left) => out.reserve(left),
            Err(code) => {
                let error = zstd_safe::get_error_name(code);
                tracing::error!(error, "zstd gave up on a payload");
                return out;
            }
        }
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain { .. } => "Plain",
            Self::Zlib(_) => "Zlib",
            Self::Zstd(_) => "Zstd",
        })
    }
}
#[cfg(test)]
mod tests;
