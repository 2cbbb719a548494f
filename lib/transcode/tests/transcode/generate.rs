//! Random payloads by descriptor: mostly what Discord could send, some of it wrong or odd.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::oracle::own_fields;

/// A small generator of random numbers, so that a seed is a payload.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.roll() % end as u64) as usize
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn space(&mut self) -> &'static str {
        if self.chance(2) {
            ["", " ", "\n\t ", "\r"][self.below(4)]
        } else {
            ""
        }
    }
}

/// The JSON of an object of this kind.
pub(crate) fn object(dice: &mut Dice, message: &MessageDescriptor, depth: usize) -> String {
    let own = own_fields(message);
    // Most members are there in some objects, hardly any in others.
    let share = [10, 40, 90][dice.below(3)];
    let mut members = Vec::new();
    for field in message.fields().filter(|field| !own.contains(field)) {
        if dice.chance(share) {
            members.push(member(dice, field.name(), &whole_field, &field, depth));
        }
    }
    while dice.chance(15) {
        let name = dice.pick(&[
            "clan",
            "nulls",
            "unknown_json",
            "",
            "a\\\"b",
            "\u{e9}t\u{e9}",
            "\\ud800",
            "very_long_name_of_something",
        ]);
        let value = json(dice, 2);
        members.push(format!("\"{name}\":{value}"));
    }
    if dice.chance(1) && !members.is_empty() {
        members.push(members[dice.below(members.len())].clone());
    }
    if dice.chance(30) {
        for index in 0..members.len() {
            let other = dice.below(members.len());
            members.swap(index, other);
        }
    }
    let space = dice.space();
    format!(
        "{{{space}{}{space}}}",
        members.join(&format!("{space},{space}"))
    )
}

type Value = dyn Fn(&mut Dice, &FieldDescriptor, usize) -> String;

fn member(
    dice: &mut Dice,
    name: &str,
    value: &Value,
    field: &FieldDescriptor,
    depth: usize,
) -> String {
    let (before, after) = (dice.space(), dice.space());
    let name = if dice.chance(1) {
        escaped(name)
    } else {
        name.to_owned()
    };
    let value = match dice.below(100) {
        0..8 => "null".to_owned(),
        8..14 => json(dice, 3),
        _ => value(dice, field, depth),
    };
    format!("\"{name}\"{before}:{after}{value}")
}

fn escaped(text: &str) -> String {
    text.chars()
        .map(|char| format!("\\u{:04x}", u32::from(char)))
        .collect()
}

fn whole_field(dice: &mut Dice, field: &FieldDescriptor, depth: usize) -> String {
    let count = if dice.chance(20) {
        0
    } else {
        1 + dice.below(4)
    };
    if field.is_map() {
        let Kind::Message(entry) = field.kind() else {
            panic!("a map has entries")
        };
        let by_text = entry.map_entry_key_field().kind() == Kind::String;
        let kind = entry.map_entry_value_field().kind();
        let entries: Vec<String> = (0..count)
            .map(|_| {
                let key = if by_text {
                    string(dice)
                } else {
                    snowflake(dice)
                };
                let quote = if key.starts_with('"') { "" } else { "\"" };
                format!("{quote}{key}{quote}:{}", one(dice, &kind, depth))
            })
            .collect();
        return format!("{{{}}}", entries.join(","));
    }
    if field.is_list() {
        let values: Vec<String> = (0..count)
            .map(|_| one(dice, &field.kind(), depth))
            .collect();
        return format!("[{}]", values.join(", "));
    }
    one(dice, &field.kind(), depth)
}

fn one(dice: &mut Dice, kind: &Kind, depth: usize) -> String {
    if dice.chance(1) {
        return json(dice, 2);
    }
    match kind {
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Timestamp" => moment(dice),
            "google.protobuf.Value" => json(dice, 4),
            _ if depth == 0 => "{}".to_owned(),
            _ => object(dice, message, depth - 1),
        },
        Kind::Bool => dice.pick(&["true", "false"]).to_owned(),
        Kind::Double => number(dice),
        Kind::Fixed64 | Kind::Uint64 => snowflake(dice),
        Kind::String => string(dice),
        _ => whole(dice),
    }
}

fn whole(dice: &mut Dice) -> String {
    match dice.below(30) {
        0 => number(dice),
        1 => dice
            .pick(&[
                "-1",
                "-0",
                "1.0",
                "1e3",
                "2147483647",
                "2147483648",
                "-2147483648",
                "-2147483649",
                "4294967295",
                "4294967296",
                "9223372036854775807",
                "9223372036854775808",
                "-9223372036854775808",
                "-9223372036854775809",
                "0.5",
                "1E-3",
                "-0.0",
                "1e400",
                "9007199254740993.0",
                "12345678.0",
                "1234567.5",
                "123456789e0",
            ])
            .to_owned(),
        2 => (dice.roll() as i64).to_string(),
        3..6 => (dice.roll() as u32).to_string(),
        6..10 => (1_700_000_000_000 + dice.roll() % 100_000_000_000).to_string(),
        10..20 => dice.below(3).to_string(),
        _ => dice.below(100_000).to_string(),
    }
}

fn number(dice: &mut Dice) -> String {
    let whole = dice.roll() % 10_u64.pow(dice.below(20) as u32);
    match dice.below(10) {
        0..3 => format!("{whole}"),
        3..6 => format!("{whole}.{}", dice.below(1000)),
        6 => format!(
            "{}",
            f64::from_bits(dice.roll() << 11 | dice.roll() & 0x7ff) % 1e18
        )
        .replace("NaN", "0")
        .replace("inf", "1"),
        7 => format!("-{whole}.{}5", dice.roll()),
        8 => format!(
            "{whole}{}",
            dice.pick(&["e5", "E-7", "e+300", "e400", ".0", ".10", "e0"])
        ),
        _ => dice
            .pick(&[
                "-0",
                "0",
                "-0.0",
                "0.1",
                "1e-5",
                "1e21",
                "5e-324",
                "0.30000000000000004",
            ])
            .to_owned(),
    }
}

fn snowflake(dice: &mut Dice) -> String {
    match dice.below(40) {
        0 => dice
            .pick(&[
                "\"0\"",
                "\"00\"",
                "\"007\"",
                "\"\"",
                "\"18446744073709551615\"",
                "\"18446744073709551616\"",
                "\"99999999999999999999\"",
                "\"00000000000000000001\"",
                "\"000000000000000000001\"",
                "\"12 \"",
                "\"-1\"",
                "\"+1\"",
                "\"1.0\"",
                "\"\\u0031\\u0032\"",
                "\"12345678\\u0039\"",
                "\"\\ud800\"",
                "\"1\\n\"",
                "\"12345678a\"",
                "\"1234567890123456x\"",
                "\"0x10\"",
                "\"1111111111111111111111111111111111111111111111\\u0031\"",
            ])
            .to_owned(),
        1 => dice.roll().to_string(),
        2 => whole(dice),
        3..10 => format!("\"{}\"", dice.roll() % 10_u64.pow(dice.below(20) as u32)),
        _ => format!("\"{}\"", 81_384_788_765_712_384 + dice.roll() * 3),
    }
}

fn moment(dice: &mut Dice) -> String {
    let (year, month, day) = (
        dice.below(80) + 1960,
        dice.below(12) + 1,
        dice.below(28) + 1,
    );
    let (hour, minute, second) = (dice.below(24), dice.below(60), dice.below(60));
    let fraction = match dice.below(4) {
        0 => String::new(),
        1 => ".000000".to_owned(),
        2 => format!(".{:06}", dice.below(1_000_000)),
        _ => format!(".{}", dice.roll()),
    };
    let offset = dice.pick(&[
        "+00:00", "+00:00", "+00:00", "Z", "+01:30", "-23:59", "+24:00", "", "z", "-00:00",
    ]);
    match dice.below(20) {
        0 => dice
            .pick(&[
                "\"2000-02-29T00:00:00+00:00\"",
                "\"1900-02-29T00:00:00+00:00\"",
                "\"2021-02-30T00:00:00+00:00\"",
                "\"2021-13-01T00:00:00+00:00\"",
                "\"2021-00-01T00:00:00+00:00\"",
                "\"2021-01-00T00:00:00+00:00\"",
                "\"2021-01-01T24:00:00+00:00\"",
                "\"2021-01-01T23:59:60+00:00\"",
                "\"0001-01-01T00:00:00+00:00\"",
                "\"0001-01-01T00:00:00+00:01\"",
                "\"0000-12-31T23:59:59-01:00\"",
                "\"9999-12-31T23:59:59.999999+00:00\"",
                "\"9999-12-31T23:59:59-00:01\"",
                "\"2021-01-01t00:00:00Z\"",
                "\"2021-01-01 00:00:00Z\"",
                "\"\\u0032021-01-01T00:00:00+00:00\"",
                "\"2021-01-01T00:00:00.+00:00\"",
                "\"\"",
                "\"2021-01-01\"",
                "\"1969-12-31T23:59:59.500000+00:00\"",
                "\"2021-01-01T00:00:00.1234567890Z\"",
                "\"+021-01-01T00:00:00Z\"",
                "\"2021-01-01T00:00:00.123456+0000\"",
                "\"2021-01-01T00:00:00.123456+00:00x\"",
                "\"2021-01-01T00:00:00+0:000\"",
            ])
            .to_owned(),
        _ => format!(
            "\"{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{offset}\""
        ),
    }
}

fn string(dice: &mut Dice) -> String {
    let mut text = String::from("\"");
    let longest = [4, 12, 60][dice.below(3)];
    for _ in 0..dice.below(longest) {
        match dice.below(40) {
            0 => text.push_str(dice.pick(&[
                "\\n",
                "\\\"",
                "\\\\",
                "\\/",
                "\\u0000",
                "\\u00e9",
                "\\b\\f\\r\\t",
            ])),
            1 => text.push_str(dice.pick(&[
                "\\ud83d\\ude00",
                "\u{1f600}",
                "\u{20ac}",
                "\u{7f}",
                "\u{80}",
            ])),
            2 if dice.chance(10) => text.push_str(dice.pick(&[
                "\\ud83d",
                "\\ude00",
                "\\ud83d\\u0041",
                "\\ud83d\\ud83d",
            ])),
            3 | 4 => text.push_str("some longer run of plain text, 36 chars"),
            _ => text.push(char::from(b'a' + dice.below(26) as u8)),
        }
    }
    text.push('"');
    text
}

/// Any JSON.
pub(crate) fn json(dice: &mut Dice, depth: usize) -> String {
    let list = |dice: &mut Dice, item: &dyn Fn(&mut Dice) -> String| {
        let items: Vec<String> = (0..dice.below(4)).map(|_| item(dice)).collect();
        items.join(dice.pick(&[",", " , "]))
    };
    match dice.below(if depth == 0 { 6 } else { 8 }) {
        0 => "null".to_owned(),
        1 => dice.pick(&["true", "false"]).to_owned(),
        2 => number(dice),
        3 => whole(dice),
        4 => string(dice),
        5 => dice.pick(&["{}", "[]", "[ ]", "{ }", "\"\""]).to_owned(),
        6 => format!("[{}]", list(dice, &|dice| json(dice, depth - 1))),
        _ => format!(
            "{{{}}}",
            list(dice, &|dice| format!(
                "{}: {}",
                string(dice),
                json(dice, depth - 1)
            ))
        ),
    }
}
