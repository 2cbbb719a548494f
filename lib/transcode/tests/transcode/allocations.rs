//! In the steady state nothing is allocated.

use transcode::{Frame, Lanes, Scratch, Transcoder};

use crate::mapping::envelope;
use crate::payloads;

#[test]
fn none_in_the_steady_state() {
    let transcoder = Transcoder::new();
    let mut scratch = Scratch::default();
    let frames: Vec<String> = payloads::all()
        .into_iter()
        .filter(|(_, payload)| !payload.contains("\\u006f"))
        .map(|(name, payload)| format!("{{\"t\":\"{name}\",\"s\":7,\"op\":0,\"d\":{payload}}}"))
        .collect();
    let mut events = 0;
    let mut encode_all = || {
        for lanes in [Lanes::Typed, Lanes::Both] {
            for text in &frames {
                let frame = Frame::parse(text).unwrap();
                let name = frame.name.as_deref().unwrap();
                let encoded = transcoder.event(&envelope(name, lanes), frame.payload, &mut scratch);
                events += usize::from(!encoded.body.is_empty());
            }
        }
    };
    encode_all();
    let counted = allocation_counter::measure(encode_all);
    assert_eq!(counted.count_total, 0, "{counted:?}");
    assert_eq!(events, frames.len() * 4);
}
