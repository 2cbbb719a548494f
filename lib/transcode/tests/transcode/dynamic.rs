//! Random messages by descriptor: what a worker could send, some of it contradictory.

use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value,
};

use crate::generate::{self, Dice};
use crate::oracle::{mention, own_fields};

/// Text with all that JSON escapes.
const TEXTS: [&str; 12] = [
    "",
    "a",
    "seven b",
    "eight by",
    "nine byte",
    "a text of just 32 bytes, no more",
    "a text that is longer than 32 bytes, and has no escapes",
    "\"quoted\" and \\escaped\\ in a long line of plain text",
    "\u{0}\u{1}\u{1f}\u{7f}\u{80}",
    "line\nfeed\r\ttab \u{8}\u{c}",
    "na\u{ef}ve \u{1f600} \u{20ac}",
    "the end is what needs an escape, not the plain start:\n",
];

/// How likely mistakes are, in percent.
pub(crate) type Mistakes = usize;

/// A message of this kind.
pub(crate) fn message(
    dice: &mut Dice,
    descriptor: &MessageDescriptor,
    depth: usize,
    mistakes: Mistakes,
) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    let own = own_fields(descriptor);
    let share = [5, 30, 80][dice.below(3)];
    let (mut nulls, mut empties) = (Vec::new(), Vec::new());
    for field in descriptor.fields().filter(|field| !own.contains(field)) {
        if dice.chance(share) {
            let value = whole_field(dice, &field, depth, mistakes);
            message.set_field(&field, value);
        }
        // An empty list counts as absent.
        let absent = !message.has_field(&field) || dice.chance(mistakes);
        match dice.below(8) {
            0 if absent => nulls.push(field),
            1 if absent && (field.is_list() || dice.chance(mistakes)) => empties.push(field),
            2 if absent && field.is_map() => empties.push(field),
            _ => {}
        }
    }
    if dice.chance(mistakes) {
        nulls.extend(descriptor.fields().next());
        nulls.push(own[dice.below(3)].clone());
    }
    for (own, fields) in [(&own[1], nulls), (&own[2], empties)] {
        if !fields.is_empty() {
            message.set_field(own, mention(own, &fields));
        }
    }
    if dice.chance(20) {
        message.set_field(&own[0], Value::String(kept(dice, descriptor, mistakes)));
    }
    message
}

/// Members as text: unknown ones, and some of those that the schema knows.
fn kept(dice: &mut Dice, descriptor: &MessageDescriptor, mistakes: Mistakes) -> String {
    if dice.chance(mistakes) {
        let broken = [
            "{",
            "[]",
            "1",
            "{}}",
            "{\"a\":1,}",
            "nul",
            " ",
            "{\"a\":tru}",
            "{a:1}",
        ];
        return dice.pick(&broken).to_owned();
    }
    let mut members = Vec::new();
    for field in descriptor.fields() {
        if dice.chance(10) {
            members.push(format!("\"{}\":{}", field.name(), generate::json(dice, 2)));
        }
        if dice.chance(5) {
            members.push(format!(
                "\"new_{}\":{}",
                field.name(),
                generate::json(dice, 2)
            ));
        }
    }
    if dice.chance(mistakes) {
        members.extend(members.first().cloned());
    }
    let space = dice.pick(&["", " ", "\n"]);
    format!(
        "{space}{{{space}{}{space}}}{space}",
        members.join(&format!("{space},"))
    )
}

fn whole_field(
    dice: &mut Dice,
    field: &FieldDescriptor,
    depth: usize,
    mistakes: Mistakes,
) -> Value {
    let count = dice.below(4);
    if field.is_map() {
        let Kind::Message(entry) = field.kind() else {
            panic!("a map has entries")
        };
        let by_text = entry.map_entry_key_field().kind() == Kind::String;
        let kind = entry.map_entry_value_field().kind();
        let entries = (0..count).map(|_| {
            let key = if by_text {
                MapKey::String(dice.pick(&TEXTS).to_owned())
            } else {
                MapKey::U64(number(dice))
            };
            (key, one(dice, &kind, depth, mistakes))
        });
        return Value::Map(entries.collect());
    }
    if field.is_list() {
        let values = (0..count).map(|_| one(dice, &field.kind(), depth, mistakes));
        return Value::List(values.collect());
    }
    one(dice, &field.kind(), depth, mistakes)
}

/// A number of any size.
fn number(dice: &mut Dice) -> u64 {
    let number = dice.roll() << 11 | dice.roll() & 0x7ff;
    match dice.below(8) {
        0 => 0,
        1 => u64::MAX,
        _ => number >> dice.below(64),
    }
}

fn one(dice: &mut Dice, kind: &Kind, depth: usize, mistakes: Mistakes) -> Value {
    match kind {
        Kind::Bool => Value::Bool(dice.chance(50)),
        Kind::Double => Value::F64(double(dice, mistakes)),
        Kind::Enum(_) => Value::EnumNumber(number(dice) as i32),
        Kind::Int32 => Value::I32(number(dice) as i32),
        Kind::Int64 => Value::I64(number(dice) as i64),
        Kind::Uint32 => Value::U32(number(dice) as u32),
        Kind::Fixed64 | Kind::Uint64 => Value::U64(number(dice)),
        Kind::String => Value::String(dice.pick(&TEXTS).to_owned()),
        Kind::Message(message) => Value::Message(nested(dice, message, depth, mistakes)),
        kind => panic!("the contract has no {kind:?}"),
    }
}

fn double(dice: &mut Dice, mistakes: Mistakes) -> f64 {
    if dice.chance(mistakes) {
        return [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][dice.below(3)];
    }
    let number = number(dice);
    match dice.below(6) {
        0 => [0.0, -0.0, 1.0, -1.0, 0.1, 1e15, 1e16, -1e15, 1e300, 5e-324][dice.below(10)],
        1 => (number as i64) as f64,
        2 => number as u32 as f64 / 1000.0,
        _ => Some(f64::from_bits(number))
            .filter(|number| number.is_finite())
            .unwrap_or(0.5),
    }
}

fn nested(
    dice: &mut Dice,
    descriptor: &MessageDescriptor,
    depth: usize,
    mistakes: Mistakes,
) -> DynamicMessage {
    let mut value = DynamicMessage::new(descriptor.clone());
    match descriptor.full_name() {
        "google.protobuf.Timestamp" => {
            let seconds = match dice.below(10) {
                0 => [0, -1, -62_135_596_800, 253_402_300_799][dice.below(4)],
                _ if dice.chance(mistakes) => number(dice) as i64,
                _ => (number(dice) % 315_537_897_600) as i64 - 62_135_596_800,
            };
            let nanos = match dice.below(6) {
                0 => 0,
                1 => 999,
                2 => 999_999_999,
                3 if dice.chance(mistakes) => -1,
                _ => dice.below(1_000_000_000) as i32,
            };
            value.set_field_by_name("seconds", Value::I64(seconds));
            value.set_field_by_name("nanos", Value::I32(nanos));
            value
        }
        "google.protobuf.Value" => any(dice, value, 3, mistakes),
        _ if depth == 0 => value,
        _ => message(dice, descriptor, depth - 1, mistakes),
    }
}

fn any(
    dice: &mut Dice,
    mut value: DynamicMessage,
    depth: usize,
    mistakes: Mistakes,
) -> DynamicMessage {
    let descriptor = value.descriptor();
    let (name, kind) = match dice.below(if depth == 0 { 4 } else { 6 }) {
        _ if dice.chance(mistakes) => return value,
        0 => ("null_value", Value::EnumNumber(0)),
        1 => ("bool_value", Value::Bool(dice.chance(50))),
        2 => ("number_value", Value::F64(double(dice, mistakes))),
        3 => ("string_value", Value::String(dice.pick(&TEXTS).to_owned())),
        4 => {
            let mut list = inner(&descriptor, "list_value");
            let values = (0..dice.below(4)).map(|_| {
                let empty = DynamicMessage::new(descriptor.clone());
                Value::Message(any(dice, empty, depth - 1, mistakes))
            });
            let values = Value::List(values.collect());
            list.set_field_by_name("values", values);
            ("list_value", Value::Message(list))
        }
        _ => {
            let mut object = inner(&descriptor, "struct_value");
            let fields = (0..dice.below(4)).map(|_| {
                let empty = DynamicMessage::new(descriptor.clone());
                let key = MapKey::String(dice.pick(&TEXTS).to_owned());
                (key, Value::Message(any(dice, empty, depth - 1, mistakes)))
            });
            let fields = Value::Map(fields.collect());
            object.set_field_by_name("fields", fields);
            ("struct_value", Value::Message(object))
        }
    };
    value.set_field_by_name(name, kind);
    value
}

fn inner(descriptor: &MessageDescriptor, field: &str) -> DynamicMessage {
    match descriptor.get_field_by_name(field).unwrap().kind() {
        Kind::Message(inner) => DynamicMessage::new(inner),
        kind => panic!("{field} is {kind:?}"),
    }
}
