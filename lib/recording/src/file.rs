//! A file of Ogg Opus with what one speaker says, as RFC 7845 says.

use std::{
    fs,
    io::{self, BufWriter, Write as _},
    path::Path,
    time::Duration,
};

use ogg::{PacketWriteEndInfo, PacketWriter};

use crate::order::{FRAME, Frame, SAMPLES, SILENCE};

/// The number of the file's one stream.
const STREAM: u32 = 1;
/// Samples at the beginning that a decoder needs to settle, and that are not heard.
const SKIPPED: u16 = 312;
/// Frames that are written together: a second.
const PAGE: u64 = 50;

/// A file that is written. Each second of it is complete when it is over.
pub(crate) struct File {
    writer: PacketWriter<'static, BufWriter<fs::File>>,
    /// The newest packet, as the last one has to say that it is the last.
    last: Vec<u8>,
    /// How many times 20 ms it has, the newest packet included.
    length: u64,
    /// Where the last page ended.
    page: u64,
}

impl File {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let file = fs::File::options()
            .write(true)
            .create_new(true)
            .open(path)?;
        let mut writer = PacketWriter::new(BufWriter::new(file));
        let end = PacketWriteEndInfo::EndPage;
        writer.write_packet(head(), STREAM, end, 0)?;
        writer.write_packet(tags(), STREAM, PacketWriteEndInfo::EndPage, 0)?;
        Ok(Self {
            writer,
            last: Vec::new(),
            length: 0,
            page: 0,
        })
    }

    /// Adds a frame, with silence up to its moment.
    pub(crate) fn add(&mut self, frame: &Frame) -> io::Result<()> {
        while self.length < frame.place {
            self.put(SILENCE.to_vec(), 1)?;
        }
        let samples = opus2::packet::get_nb_samples(&frame.data, 48_000);
        let Ok(samples) = samples else {
            return Ok(());
        };
        let frames = (samples as u64).div_ceil(SAMPLES.into());
        self.put(frame.data.to_vec(), frames)
    }

    /// Ends the file; how long it is.
    pub(crate) fn finish(mut self) -> io::Result<Duration> {
        if self.last.is_empty() {
            self.put(SILENCE.to_vec(), 1)?;
        }
        let last = std::mem::take(&mut self.last);
        self.write(last, PacketWriteEndInfo::EndStream)?;
        self.writer.inner_mut().flush()?;
        let frames = u32::try_from(self.length).unwrap_or(u32::MAX);
        Ok(FRAME * frames)
    }

    fn put(&mut self, packet: Vec<u8>, frames: u64) -> io::Result<()> {
        let before = std::mem::replace(&mut self.last, packet);
        if !before.is_empty() {
            let ends_page = self.length - self.page >= PAGE;
            let end = match ends_page {
                true => PacketWriteEndInfo::EndPage,
                false => PacketWriteEndInfo::NormalPacket,
            };
            self.write(before, end)?;
            if ends_page {
                self.page = self.length;
                self.writer.inner_mut().flush()?;
            }
        }
        self.length += frames;
        Ok(())
    }

    fn write(&mut self, packet: Vec<u8>, end: PacketWriteEndInfo) -> io::Result<()> {
        let position = self.length * u64::from(SAMPLES) + u64::from(SKIPPED);
        self.writer.write_packet(packet, STREAM, end, position)
    }
}

fn head() -> Vec<u8> {
    let mut head = b"OpusHead\x01\x02".to_vec();
    head.extend(SKIPPED.to_le_bytes());
    head.extend(48_000_u32.to_le_bytes());
    // No gain; one stream of two channels.
    head.extend([0, 0, 0]);
    head
}

fn tags() -> Vec<u8> {
    // A name of 15 bytes, and no tags.
    b"OpusTags\x0f\0\0\0discord-gateway\0\0\0\0".to_vec()
}

#[cfg(test)]
mod tests;
