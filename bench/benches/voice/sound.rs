//! A tone as a file.

use std::{f64::consts::TAU, path::Path};

use anyhow::Result;
use ogg::{PacketWriteEndInfo, PacketWriter};
use opus2::{Application, Channels, Encoder};

/// Its pitch.
pub(crate) const HERTZ: f64 = 440.0;

/// Samples a second.
const RATE: u32 = 48_000;
/// Those of a packet: 20 ms.
const FRAME: u32 = 960;
/// The number of the file's one stream.
const STREAM: u32 = 1;
/// Room for a packet.
const LARGEST: usize = 1275;

/// Writes a tone of so many seconds as Ogg Opus, in packets that can be passed on as they are.
pub(crate) fn opus(path: &Path, seconds: u32) -> Result<()> {
    let mut encoder = Encoder::new(RATE, Channels::Stereo, Application::Audio)?;
    let mut writer = PacketWriter::new(std::fs::File::create(path)?);
    let (page, packet) = (
        PacketWriteEndInfo::EndPage,
        PacketWriteEndInfo::NormalPacket,
    );
    let mut head = b"OpusHead\x01\x02\0\0".to_vec();
    head.extend(RATE.to_le_bytes());
    head.extend([0; 3]);
    writer.write_packet(head, STREAM, page, 0)?;
    let tags = b"OpusTags\0\0\0\0\0\0\0\0".to_vec();
    writer.write_packet(tags, STREAM, page, 0)?;
    let frames = seconds * RATE / FRAME;
    for frame in 0..frames {
        let samples: Vec<f32> = (0..FRAME)
            .flat_map(|place| [sample(frame * FRAME + place); 2])
            .collect();
        let data = encoder.encode_vec_float(&samples, LARGEST)?;
        let end = match frame {
            _ if frame + 1 == frames => PacketWriteEndInfo::EndStream,
            _ if frame % 50 == 49 => page,
            _ => packet,
        };
        writer.write_packet(data, STREAM, end, u64::from((frame + 1) * FRAME))?;
    }
    Ok(())
}

/// Writes the same as WAV, which has to be encoded.
pub(crate) fn wav(path: &Path, seconds: u32) -> Result<()> {
    let length = seconds * RATE * 4;
    let mut file = b"RIFF".to_vec();
    file.extend((length + 36).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x02\0");
    file.extend(RATE.to_le_bytes());
    file.extend((RATE * 4).to_le_bytes());
    file.extend(b"\x04\0\x10\0data");
    file.extend(length.to_le_bytes());
    for place in 0..seconds * RATE {
        let sample = (sample(place) * 32_767.0) as i16;
        file.extend([sample.to_le_bytes(); 2].concat());
    }
    Ok(std::fs::write(path, file)?)
}

fn sample(place: u32) -> f32 {
    let turns = f64::from(place) * HERTZ / f64::from(RATE);
    ((turns.fract() * TAU).sin() * 0.4) as f32
}
