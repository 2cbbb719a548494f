//! Decompresses what the encoder made, as a client does.

use std::io::Read;

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, read::ZlibDecoder};
use tokio_websockets::Message;
use zstd_safe::{DCtx, InBuffer, OutBuffer};

use super::{Encoder, Transport};
use crate::config::Config;

fn payloads() -> Vec<Bytes> {
    let mut random = fastrand::Rng::with_seed(7);
    [0_usize, 1, 40, 1000, 70_000, 3, 400_000]
        .into_iter()
        .map(|size| {
            (0..size)
                .map(|_| random.u8(b' '..b'~'))
                .collect::<Vec<u8>>()
        })
        .map(|mut payload| {
            payload.extend_from_slice(&b"{\"op\":11}".repeat(5));
            Bytes::from(payload)
        })
        .collect()
}

fn encode(encoder: &mut Encoder, payload: &Bytes, split: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    encoder.encode(payload.clone(), split, &mut messages);
    messages
}

#[test]
fn zlib_payloads_may_span_messages() {
    for split in [0, 1, 3] {
        let mut encoder = Encoder::new(Transport::Zlib, &Config::default());
        let mut context = Decompress::new(true);
        for payload in payloads() {
            let messages = encode(&mut encoder, &payload, split);
            assert_eq!(messages.len(), split.max(1));
            let joined: Vec<u8> = messages
                .iter()
                .flat_map(|m| m.as_payload().to_vec())
                .collect();
            assert!(joined.ends_with(&[0, 0, 0xff, 0xff]));
            let mut plain = Vec::with_capacity(payload.len() + 100);
            context
                .decompress_vec(&joined, &mut plain, FlushDecompress::Sync)
                .unwrap();
            assert_eq!(plain, payload);
        }
    }
}

#[test]
fn zstd_has_one_message_per_payload_in_one_open_frame() {
    let mut encoder = Encoder::new(Transport::Zstd, &Config::default());
    let mut context = DCtx::create();
    for (index, payload) in payloads().into_iter().enumerate() {
        let messages = encode(&mut encoder, &payload, 1);
        assert_eq!(messages.len(), 1);
        let compressed: &[u8] = messages[0].as_payload();
        assert_eq!(
            compressed.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]),
            index == 0
        );
        let mut plain = Vec::with_capacity(payload.len() + 100);
        let mut input = InBuffer::around(compressed);
        while input.pos() < compressed.len() {
            let position = plain.len();
            let mut output = OutBuffer::around_pos(&mut plain, position);
            context.decompress_stream(&mut output, &mut input).unwrap();
        }
        assert_eq!(plain, payload);
    }
}

#[test]
fn payload_compression_leaves_short_payloads_alone() {
    let mut encoder = Encoder::new(Transport::Plain, &Config::default());
    assert!(encode(&mut encoder, &payloads()[4], 1)[0].is_text());
    encoder.compress_payloads();
    assert!(encode(&mut encoder, &payloads()[0], 1)[0].is_text());
    let message = encode(&mut encoder, &payloads()[4], 1).remove(0);
    assert!(message.is_binary());
    let mut plain = Vec::new();
    let compressed: &[u8] = message.as_payload();
    ZlibDecoder::new(compressed)
        .read_to_end(&mut plain)
        .unwrap();
    assert_eq!(plain, payloads()[4]);
}
