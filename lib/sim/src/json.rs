//! JSON in the order in which Discord's own encoder writes members.

use serde_json::Value;

/// Appends the value; members come in reverse alphabetical order, `guild_id` last.
///
/// A string of the form `<#X>` is a slot of the event generator that stands for a number: it loses its quotes.
pub(crate) fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(members) => {
            out.push(b'{');
            let last = members.get_key_value("guild_id");
            let others = members.iter().rev().filter(|(key, _)| *key != "guild_id");
            for (index, (key, member)) in others.chain(last).enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_scalar(&Value::from(key.as_str()), out);
                out.push(b':');
                write(member, out);
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Value::String(text) if is_numeric_slot(text) => {
            out.push(b'<');
            out.extend_from_slice(&text.as_bytes()[2..]);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            write_scalar(value, out);
        }
    }
}

/// The value as text.
pub(crate) fn text(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    write(value, &mut out);
    out
}

fn is_numeric_slot(text: &str) -> bool {
    matches!(text.as_bytes(), [b'<', b'#', letter, b'>'] if letter.is_ascii_uppercase())
}

fn write_scalar(value: &Value, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("a scalar is written to a Vec");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::text;

    #[test]
    fn members_are_reversed_and_the_guild_comes_last() {
        let value = json!({"a": 1, "guild_id": "5", "z": [null, true, {"b": "x\"y", "c": 2.5}]});
        let written = String::from_utf8(text(&value)).unwrap();
        assert_eq!(
            written,
            r#"{"z":[null,true,{"c":2.5,"b":"x\"y"}],"a":1,"guild_id":"5"}"#
        );
    }

    #[test]
    fn numeric_slots_lose_their_quotes() {
        assert_eq!(text(&json!({"t": "<#S>"})), br#"{"t":<S>}"#);
    }
}
