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

/// Neither on the way back, nor for messages that are no events.
#[test]
fn none_on_the_way_back() {
    let transcoder = Transcoder::new();
    let mut scratch = Scratch::default();
    let mut events = Vec::new();
    for (name, payload) in payloads::all() {
        // A map whose keys come twice is put in order, which takes memory; so do escapes in names.
        if !["\"1\":{},\"1\"", "\\u006f", "\\ud83d\":"]
            .iter()
            .any(|odd| payload.contains(odd))
        {
            let payload = transcode::Payload::new(&payload);
            let envelope = envelope(name, Lanes::Typed);
            events.push(
                transcoder
                    .event(&envelope, payload, &mut scratch)
                    .body
                    .to_vec(),
            );
        }
    }
    let schema = transcoder.schema();
    let shape = schema.shape("discord.v1.Message").unwrap();
    let json = payloads::all();
    let json = json
        .iter()
        .filter(|(name, payload)| *name == "MESSAGE_CREATE" && payload.len() > 999);
    let json: Vec<_> = json.map(|(_, payload)| payload.as_bytes()).collect();
    assert!(!json.is_empty());
    let mut rendered = 0;
    let mut render_all = || {
        for event in &events {
            rendered += transcoder.payload(event, &mut scratch).unwrap().json.len();
        }
        for json in &json {
            rendered += schema.parse(shape, json, &mut scratch).unwrap().len();
        }
    };
    render_all();
    let counted = allocation_counter::measure(render_all);
    assert_eq!(counted.count_total, 0, "{counted:?}");
    assert!(rendered > 10_000, "{rendered}");
}
