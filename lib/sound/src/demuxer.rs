//! One track of a file, packet by packet.

use std::io::{self, Seek as _, SeekFrom};

use symphonia::core::{
    codecs::CODEC_TYPE_OPUS,
    errors::{Error, Result},
    formats::{FormatReader, Packet, SeekMode, SeekTo, Track},
};

use crate::{frames::Frames, guard::guarded, media::probe};

/// Packets in a row that may be broken.
const PATIENCE: u32 = 100;

/// Reads the packets of one track. It blocks where the file does.
pub(crate) struct Demuxer {
    /// Absent when it could not be begun again.
    format: Option<Box<dyn FormatReader>>,
    track: u32,
    /// For Opus.
    frames: Option<Frames>,
    broken: u32,
}

impl Demuxer {
    pub(crate) fn new(format: Box<dyn FormatReader>, track: &Track) -> Self {
        let is_opus = track.codec_params.codec == CODEC_TYPE_OPUS;
        Self {
            format: Some(format),
            track: track.id,
            frames: is_opus.then(Frames::default),
            broken: 0,
        }
    }

    /// The next packets; none at the end.
    pub(crate) fn read(&mut self) -> Result<Vec<Packet>> {
        loop {
            let format = self.format.as_mut().ok_or(GONE)?;
            let packet = match guarded(|| format.next_packet()) {
                Ok(packet) => packet,
                Err(error) if is_end(&error) => {
                    return Ok(self.frames.as_mut().map_or_else(Vec::new, Frames::rest));
                }
                Err(Error::DecodeError(_)) if self.broken < PATIENCE => {
                    self.broken += 1;
                    continue;
                }
                // Another stream begins, as on the radio with each title.
                Err(Error::ResetRequired) if self.frames.is_some() => {
                    self.follow()?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if packet.track_id() != self.track || packet.buf().is_empty() {
                continue;
            }
            self.broken = 0;
            let packets = match &mut self.frames {
                Some(frames) => frames.cut(packet),
                None => return Ok(vec![packet]),
            };
            if !packets.is_empty() {
                return Ok(packets);
            }
        }
    }

    /// Goes to a packet that is not after this place, if the format can.
    pub(crate) fn seek(&mut self, ts: u64) -> Result<()> {
        if let Some(frames) = &mut self.frames {
            frames.clear();
        }
        let track_id = self.track;
        let format = self.format.as_mut().ok_or(GONE)?;
        let to = SeekTo::TimeStamp { ts, track_id };
        guarded(|| format.seek(SeekMode::Accurate, to)).map(drop)
    }

    /// Goes back to the beginning of the file.
    pub(crate) fn restart(&mut self) -> Result<()> {
        if let Some(frames) = &mut self.frames {
            frames.clear();
        }
        let format = self.format.take().ok_or(GONE)?;
        let again = guarded(|| {
            let mut content = format.into_inner();
            content.seek(SeekFrom::Start(0))?;
            probe(content).map(|(format, _)| format)
        })?;
        self.format = Some(again);
        Ok(())
    }

    /// Goes on with a stream that follows. Opus needs nothing to be decoded that stands at its beginning.
    fn follow(&mut self) -> Result<()> {
        let format = self.format.as_ref().ok_or(GONE)?;
        let mut tracks = format.tracks().iter();
        let next = tracks.find(|track| track.codec_params.codec == CODEC_TYPE_OPUS);
        self.track = next.ok_or(Error::Unsupported("a format that changes"))?.id;
        Ok(())
    }
}

const GONE: Error = Error::Unsupported("a file that changes while it is read");

/// Whether there is just nothing more. symphonia has no other word for it.
pub(crate) fn is_end(error: &Error) -> bool {
    matches!(error, Error::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof)
}
