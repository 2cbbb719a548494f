//! RTP headers as Discord's voice servers read and write them.

/// Bytes of a header without sources or extension.
pub(crate) const LENGTH: usize = 12;
/// The flag of a packet whose last byte says how many bytes there are too many.
pub(crate) const PADDING: u8 = 0x20;
/// Samples of a frame of 20 ms at 48 kHz.
pub(crate) const FRAME: u32 = 960;
/// The frame that stands for silence.
pub(crate) const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];

/// What stands in a packet's header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Header {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    /// Bytes that are not encrypted: the header, its sources, and what says how long an extension is.
    pub(crate) clear: usize,
    /// Bytes of the extension, which are encrypted.
    pub(crate) extension: usize,
}

impl Header {
    /// Reads the header of a packet with audio.
    pub(crate) fn parse(packet: &[u8]) -> Option<Self> {
        let fixed: &[u8; LENGTH] = packet.first_chunk()?;
        let [flags, kind, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3] = *fixed;
        // Version 2, and the payload type of Opus; the marker does not matter.
        if flags >> 6 != 2 || kind & 0x7f != 0x78 {
            return None;
        }
        let sources = usize::from(flags & 0x0f) * 4;
        let mut clear = LENGTH + sources;
        let mut extension = 0;
        if flags & 0x10 != 0 {
            let preamble: &[u8; 4] = packet.get(clear..)?.first_chunk()?;
            extension = usize::from(u16::from_be_bytes([preamble[2], preamble[3]])) * 4;
            clear += 4;
        }
        (packet.len() > clear).then_some(Self {
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([r0, r1, r2, r3]),
            clear,
            extension,
        })
    }
}

/// A header without sources or extension.
pub(crate) fn write(sequence: u16, timestamp: u32, ssrc: u32) -> [u8; LENGTH] {
    let mut header = [0; LENGTH];
    header[0] = 0x80;
    header[1] = 0x78;
    header[2..4].copy_from_slice(&sequence.to_be_bytes());
    header[4..8].copy_from_slice(&timestamp.to_be_bytes());
    header[8..].copy_from_slice(&ssrc.to_be_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::{Header, write};

    #[test]
    fn headers_are_read_as_they_are_written() {
        let mut packet = write(65_535, 4_000_000_000, 7).to_vec();
        assert_eq!(Header::parse(&packet), None, "no payload");
        packet.push(1);
        let header = Header::parse(&packet).unwrap();
        assert_eq!(
            (header.sequence, header.timestamp, header.ssrc, header.clear),
            (65_535, 4_000_000_000, 7, 12)
        );
    }

    #[test]
    fn sources_and_the_head_of_an_extension_are_clear() {
        let mut packet = write(1, 2, 3).to_vec();
        packet[0] = 0x80 | 0x10 | 2;
        packet.extend([0; 8]);
        packet.extend([0xbe, 0xde, 0, 3]);
        packet.extend([9; 20]);
        let header = Header::parse(&packet).unwrap();
        assert_eq!((header.clear, header.extension), (24, 12));
    }

    #[test]
    fn what_is_no_audio_is_refused() {
        for bad in [
            &[][..],
            &[0x80; 11],
            &[0x80, 0xc8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ] {
            assert_eq!(Header::parse(bad), None);
        }
        let mut short = write(1, 2, 3).to_vec();
        short[0] = 0x90;
        short.push(0);
        assert_eq!(
            Header::parse(&short),
            None,
            "an extension that is not there"
        );
    }
}
