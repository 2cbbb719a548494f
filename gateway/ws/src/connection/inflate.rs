//! One zstd stream over a whole connection.
//!
//! See [Discord Docs/Transport Compression](https://docs.discord.com/developers/events/gateway#transport-compression).

use zstd_safe::{DCtx, InBuffer, OutBuffer, get_error_name};

/// Room that a payload gets at first; nearly all need less.
const USUAL: usize = 8 << 10;

/// Room that is kept for the next payload at most.
const KEPT: usize = 64 << 10;

/// No payload of Discord's comes near.
const LARGEST: usize = 256 << 20;

/// Decompresses a connection's payloads, one after the other.
pub(super) struct Inflate(DCtx<'static>);

impl Inflate {
    /// For a new connection.
    pub(super) fn new() -> Self {
        Self(DCtx::create())
    }

    /// Decompresses a payload to `text`, whose memory is used if there is enough.
    ///
    /// # Errors
    ///
    /// Why the rest of the stream is of no use.
    pub(super) fn message(&mut self, message: &[u8], text: &mut String) -> Result<(), String> {
        let mut bytes = std::mem::take(text).into_bytes();
        bytes.clear();
        if bytes.capacity() > KEPT {
            bytes = Vec::new();
        }
        let mut input = InBuffer::around(message);
        loop {
            if bytes.capacity() - bytes.len() < USUAL / 2 {
                bytes.reserve(USUAL.max(bytes.len()));
            }
            let start = bytes.len();
            let mut output = OutBuffer::around_pos(&mut bytes, start);
            self.0
                .decompress_stream(&mut output, &mut input)
                .map_err(|code| get_error_name(code).to_owned())?;
            let is_full = output.pos() == output.capacity();
            if input.pos == message.len() && !is_full {
                break;
            }
            if bytes.len() > LARGEST {
                return Err(format!("it is larger than {LARGEST} bytes"));
            }
        }
        *text = String::from_utf8(bytes).map_err(|error| error.utf8_error().to_string())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Inflate, KEPT};
    use zstd_safe::{CCtx, InBuffer, OutBuffer, zstd_sys::ZSTD_EndDirective};

    /// The messages of one stream.
    fn compressed(payloads: &[String]) -> Vec<Vec<u8>> {
        let mut context = CCtx::create();
        let compress = |payload: &String| {
            let mut bytes = Vec::with_capacity(payload.len() + 1024);
            let mut output = OutBuffer::around(&mut bytes);
            let mut input = InBuffer::around(payload.as_bytes());
            let flush = ZSTD_EndDirective::ZSTD_e_flush;
            let left = context.compress_stream2(&mut output, &mut input, flush);
            assert_eq!((left, input.pos), (Ok(0), payload.len()));
            bytes
        };
        payloads.iter().map(compress).collect()
    }

    #[test]
    fn payloads_of_all_sizes_come_out_whole_and_in_order() {
        let sizes = [
            0, 1, 4095, 4096, 8191, 8192, 8193, 500_000, 7, 65_536, 65_537,
        ];
        let payload = |size: &usize| -> String { ('a'..='z').cycle().take(*size).collect() };
        let payloads: Vec<String> = sizes.iter().map(payload).collect();
        let (mut inflate, mut text) = (Inflate::new(), String::new());
        for (message, payload) in compressed(&payloads).iter().zip(&payloads) {
            inflate.message(message, &mut text).unwrap();
            assert!(text == *payload, "{}", payload.len());
        }
        assert!(
            text.capacity() <= 4 * KEPT,
            "a large payload's memory is given back"
        );
    }

    #[test]
    fn what_is_no_stream_or_no_text_is_refused() {
        let mut text = String::new();
        assert!(
            Inflate::new()
                .message(b"no zstd at all", &mut text)
                .is_err()
        );
        let mut bytes = [0; 64];
        let size = zstd_safe::compress(&mut bytes[..], &[0xff, 0xfe], 3).unwrap();
        let refused = Inflate::new().message(&bytes[..size], &mut text);
        assert!(refused.unwrap_err().contains("utf-8"));
    }
}
