//! The mark by which an event is recognised at the far end: its number and the time when it was made.

use crate::clock;

/// Appends the member `sim` to a JSON object.
pub(crate) fn write_mark(number: u64, d: &mut Vec<u8>) {
    if d.pop() != Some(b'}') {
        return;
    }
    let comma = if d.len() > 1 { "," } else { "" };
    let now = clock::unix_micros();
    let mark = format!("{comma}\"sim\":{{\"n\":{number},\"sent_at_us\":{now}}}}}");
    d.extend_from_slice(mark.as_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::write_mark;

    #[test]
    fn marks_keep_objects_valid() {
        for object in ["{}", r#"{"a":1}"#] {
            let mut d = object.as_bytes().to_vec();
            write_mark(7, &mut d);
            let value: Value = serde_json::from_slice(&d).unwrap();
            assert_eq!(value["sim"]["n"], 7);
        }
    }
}
