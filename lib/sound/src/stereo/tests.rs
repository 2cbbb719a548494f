//! Tones of every kind become the same tone in stereo.

use symphonia::core::audio::AsAudioBufferRef as _;

use super::*;

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "few samples"
)]
fn tone(rate: u32, channels: Channels, from: usize, frames: usize) -> AudioBuffer<f32> {
    let mut buffer = AudioBuffer::new(frames as u64, SignalSpec::new(rate, channels));
    buffer.render_reserved(Some(frames));
    for channel in 0..channels.count() {
        for (place, sample) in (from..).zip(buffer.chan_mut(channel)) {
            let turns = place as f64 * 440.0 / f64::from(rate);
            *sample = ((turns * std::f64::consts::TAU).sin() * 0.5) as f32;
        }
    }
    buffer
}

/// Feeds a second in packets, and counts what comes out and how often it rises through zero.
fn heard(rate: u32, channels: Channels, packet: usize) -> (usize, usize, f32) {
    let mut stereo = Stereo::new();
    let (mut frames, mut rises, mut last, mut loudest) = (0, 0, 0.0, 0.0_f32);
    for from in (0..rate as usize).step_by(packet) {
        let piece = tone(rate, channels, from, packet);
        stereo.make(piece.as_audio_buffer_ref()).unwrap();
        let made = &stereo.out;
        assert_eq!(made.spec().rate, RATE);
        assert_eq!(made.spec().channels.count(), 2);
        assert_eq!(made.chan(0), made.chan(1));
        for sample in made.chan(0) {
            rises += usize::from(last < 0.0 && *sample >= 0.0);
            last = *sample;
            loudest = loudest.max(*sample);
        }
        frames += made.frames();
    }
    (frames, rises, loudest)
}

#[test]
fn every_rate_gives_the_same_tone() {
    let stereo = Channels::FRONT_LEFT | Channels::FRONT_RIGHT;
    // Among them those that songbird cannot do.
    for rate in [
        8_000, 11_025, 22_050, 44_100, 44_101, 48_000, 96_000, 192_000,
    ] {
        let (frames, rises, loudest) = heard(rate, stereo, 1152);
        // Whole packets, without what waits for more.
        let whole = rate.div_ceil(1152) * 1152;
        let whole = u64::from(whole) * 48_000 / u64::from(rate);
        let missing = whole.saturating_sub(frames as u64);
        assert!(
            missing < 400 * 48_000 / u64::from(rate),
            "{rate}: {missing}"
        );
        let wanted = frames * 440 / 48_000;
        assert!(rises.abs_diff(wanted) <= 3, "{rate}: {rises} {wanted}");
        assert!((0.48..0.53).contains(&loudest), "{rate}: {loudest}");
    }
}

#[test]
fn any_channels_become_two() {
    let five = LEFT | RIGHT;
    let all =
        Channels::FRONT_LEFT | Channels::FRONT_RIGHT | Channels::FRONT_CENTRE | Channels::LFE1;
    for channels in [Channels::FRONT_LEFT, Channels::FRONT_CENTRE, five, all] {
        let (_, rises, loudest) = heard(RATE, channels, 960);
        assert!((438..=441).contains(&rises), "{channels}: {rises}");
        assert!((0.49..0.51).contains(&loudest), "{channels}: {loudest}");
    }
}

#[test]
fn left_stays_left() {
    let stereo = Channels::FRONT_LEFT | Channels::FRONT_RIGHT;
    let mut source = tone(RATE, stereo, 0, 960);
    source.chan_mut(1).fill(0.0);
    let mut made = Stereo::new();
    made.make(source.as_audio_buffer_ref()).unwrap();
    assert_eq!(made.out.chan(0), source.chan(0));
    assert!(made.out.chan(1).iter().all(|sample| *sample == 0.0));
}

#[test]
fn rates_that_are_none_are_refused() {
    for rate in [1, 3_999, 1_000_000] {
        let source = tone(rate, Channels::FRONT_LEFT, 0, 8);
        assert!(Stereo::new().make(source.as_audio_buffer_ref()).is_err());
    }
}
