//! Recordings into files: one for each speaker, which plays back.

use std::{io::Cursor, path::Path};

use anyhow::{Context as _, Result, ensure};
use tokio::time::Instant;
use wire::gateway::v1::{VoiceRecordRequest, VoiceRecordTarget, VoiceStreamFormat};

use super::{
    ears::{decoded, received, sounds},
    stage::{PATIENCE, Stage, seconds},
};

/// The packets of a file, without its heads.
fn packets(file: &Path) -> Result<Vec<Vec<u8>>> {
    let content = std::fs::read(file)?;
    let mut reader = ogg::PacketReader::new(Cursor::new(content));
    let (mut packets, mut has_end) = (Vec::new(), false);
    while let Some(packet) = reader.read_packet()? {
        has_end |= packet.last_in_stream();
        packets.push(packet.data);
    }
    ensure!(has_end, "the file has no end");
    ensure!(packets[0].starts_with(b"OpusHead"), "it is no Opus");
    Ok(packets.split_off(2))
}

async fn files(prefix: &str, dave: bool) -> Result<()> {
    let version = u16::from(dave);
    let mut stage = Stage::new(prefix, |settings| settings.dave_version = version).await?;
    let folder = tempfile::tempdir()?;
    stage.set("VOICE_RECORDINGS", &folder.path().to_string_lossy());
    let node = stage.node().await?;
    stage.join_ready().await?;
    let users = stage.speakers()?;
    let wanted = VoiceRecordRequest {
        target: VoiceRecordTarget::Files.into(),
        ..stage.recording(VoiceStreamFormat::Unspecified)
    };
    let id = stage.record(&wanted).await?;
    stage
        .speak(&[(users[0], 500), (users[1], 1_000)], Some(2_000))
        .await?;
    let deadline = Instant::now() + PATIENCE;
    while received(&node, "delivered").await? < 190 {
        ensure!(Instant::now() < deadline, "it is not written");
    }
    let stopped = stage.stop_record().await?;
    ensure!(stopped.recording_id == id, "{stopped:?}");
    ensure!(
        (stopped.dropped, &*stopped.detail) == (0, ""),
        "{stopped:?}"
    );
    ensure!(stopped.user_ids == users, "{stopped:?}");
    ensure!(stopped.files.len() == 2, "{stopped:?}");
    for (file, (user, hertz)) in stopped
        .files
        .iter()
        .zip(users.into_iter().zip([500.0, 1_000.0]))
    {
        ensure!(file.user_id == user, "{file:?}");
        ensure!(file.file == format!("{id}/{user}.ogg"), "{file:?}");
        let packets = packets(&folder.path().join(&file.file))?;
        let samples = decoded(packets.iter().map(Vec::as_slice))?;
        sounds(&samples, hertz)?;
        #[expect(clippy::cast_precision_loss, reason = "they are few")]
        let length = samples.len() as f64 / 48_000.0;
        let told = seconds(file.duration);
        ensure!((length - told).abs() < 0.05, "{length} s, not {told}");
    }
    // Nothing else was made.
    let made: Vec<_> = std::fs::read_dir(folder.path())?.collect::<std::io::Result<_>>()?;
    ensure!(made.len() == 1, "{made:?}");
    let only = made.first().context("a directory")?.file_name();
    ensure!(only.to_string_lossy() == id, "{only:?}");
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn speakers_are_written_to_files_that_play_back_with_dave() -> Result<()> {
    files("voice-files-dave", true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn speakers_are_written_to_files_that_play_back_without_dave() -> Result<()> {
    files("voice-files-plain", false).await
}
