//! Percent-encoding, as paths, queries and one header want it.

use std::fmt::Write as _;

/// `text` with everything encoded but letters, digits and `-._~`.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            // Writing to a string cannot fail.
            _ => write!(encoded, "%{byte:02X}").unwrap_or_default(),
        }
    }
    encoded
}

#[test]
fn what_is_not_plain_is_encoded() {
    assert_eq!(encode("a-Z_0.~"), "a-Z_0.~");
    assert_eq!(encode("🔥/a b%"), "%F0%9F%94%A5%2Fa%20b%25");
    assert_eq!(encode("name:1"), "name%3A1");
}
