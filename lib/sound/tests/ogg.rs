//! Ogg, read and written as RFC 3533 says, without what is tested.

use opus2::{Application, Channels, Encoder};

/// The packets of a file with one stream, its two headers included.
pub(crate) fn packets(mut file: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let mut packet = Vec::new();
    while let Some(rest) = file.strip_prefix(b"OggS") {
        let segments = usize::from(rest[22]);
        let (table, mut body) = rest[23..].split_at(segments);
        for length in table {
            let (segment, rest) = body.split_at(usize::from(*length));
            packet.extend_from_slice(segment);
            body = rest;
            if *length < 255 {
                packets.push(std::mem::take(&mut packet));
            }
        }
        file = body;
    }
    packets
}

/// A tone of 440 Hz in packets of 20 ms.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "few samples"
)]
pub(crate) fn tone(frames: usize) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(48_000, Channels::Stereo, Application::Audio).unwrap();
    let frame = |number: usize| {
        let samples = (number * 960..(number + 1) * 960).flat_map(|place| {
            let turns = place as f64 * 440.0 / 48_000.0;
            [((turns * std::f64::consts::TAU).sin() * 12_000.0) as i16; 2]
        });
        samples.collect::<Vec<i16>>()
    };
    (0..frames)
        .map(|number| encoder.encode_vec(&frame(number), 4000).unwrap())
        .collect()
}
