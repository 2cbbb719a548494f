//! The way from a message back to JSON, by reflection: slow, and independent of the transcoder.

use std::fmt::Write;

use prost_reflect::{DynamicMessage, FieldDescriptor, MapKey, ReflectMessage, Value};

/// Appends the JSON of a message of the contract's. What it keeps as text comes last, and so wins
/// over what it has as fields.
pub fn render(message: &DynamicMessage, out: &mut String) {
    let mut members = Members { out, before: '{' };
    for (field, value) in message.fields() {
        if !is_own(&field) {
            members.key(field.name());
            whole_field(&field, value, members.out);
        }
    }
    for name in listed(message, "nulls") {
        members.key(&name);
        members.out.push_str("null");
    }
    for name in listed(message, "empties") {
        members.key(&name);
        let field = message.descriptor().get_field_by_name(&name);
        let is_map = field.is_some_and(|field| field.is_map());
        members.out.push_str(if is_map { "{}" } else { "[]" });
    }
    let kept = message.get_field_by_name("unknown_json");
    let kept = kept.as_ref().and_then(|kept| kept.as_str());
    let kept = kept.map_or("", str::trim);
    if let Some(kept) = kept
        .strip_prefix('{')
        .and_then(|kept| kept.strip_suffix('}'))
        && !kept.trim().is_empty()
    {
        members.separate();
        members.out.push_str(kept);
    }
    members.end();
}

/// Whether a field is one of the three that hold what fields cannot.
pub(crate) fn is_own(field: &FieldDescriptor) -> bool {
    matches!(field.name(), "unknown_json" | "nulls" | "empties")
}

/// An object that is being written.
struct Members<'o> {
    out: &'o mut String,
    before: char,
}

impl Members<'_> {
    fn separate(&mut self) {
        self.out.push(self.before);
        self.before = ',';
    }

    fn key(&mut self, name: &str) {
        self.separate();
        quote(name, self.out);
        self.out.push(':');
    }

    fn end(self) {
        if self.before == '{' {
            self.out.push('{');
        }
        self.out.push('}');
    }
}

/// The names of the fields that `nulls` or `empties` lists: by number, or as a mask.
fn listed(message: &DynamicMessage, list: &str) -> Vec<String> {
    let descriptor = message.descriptor();
    let mut names = Vec::new();
    match message.get_field_by_name(list).as_deref() {
        Some(Value::List(numbers)) => {
            let fields = numbers.iter().filter_map(Value::as_u32);
            let fields = fields.filter_map(|number| descriptor.get_field(number));
            let fields = fields.filter(|field| !is_own(field));
            names.extend(fields.map(|field| field.name().to_owned()));
        }
        Some(Value::Message(mask)) => {
            let paths = mask.get_field_by_name("paths");
            let paths = paths.as_ref().and_then(|paths| paths.as_list());
            let paths = paths.unwrap_or_default().iter();
            names.extend(paths.filter_map(Value::as_str).map(str::to_owned));
        }
        _ => {}
    }
    names
}

fn whole_field(field: &FieldDescriptor, value: &Value, out: &mut String) {
    match value {
        Value::List(values) => list(values, out),
        Value::Map(map) => {
            let mut members = Members { out, before: '{' };
            for (key, value) in map {
                match key {
                    MapKey::String(name) => members.key(name),
                    MapKey::U64(id) => members.key(&id.to_string()),
                    key => panic!("{} has the key {key:?}", field.full_name()),
                }
                one(value, members.out);
            }
            members.end();
        }
        value => one(value, out),
    }
}

fn list(values: &[Value], out: &mut String) {
    out.push('[');
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        one(value, out);
    }
    out.push(']');
}

fn one(value: &Value, out: &mut String) {
    match value {
        Value::Bool(bool) => print(out, bool),
        Value::I32(number) | Value::EnumNumber(number) => print(out, number),
        Value::I64(number) => print(out, number),
        Value::U32(number) => print(out, number),
        Value::U64(id) => quote(&id.to_string(), out),
        // What is zero has no sign in JSON.
        Value::F64(number) => print(out, number + 0.0),
        Value::String(text) => quote(text, out),
        Value::Message(message) => match message.descriptor().full_name() {
            "google.protobuf.Timestamp" => moment(message, out),
            "google.protobuf.Value" => any(message, out),
            _ => render(message, out),
        },
        value => panic!("{value:?} has no JSON"),
    }
}

fn any(message: &DynamicMessage, out: &mut String) {
    match message.fields().next() {
        None => out.push_str("null"),
        Some((field, value)) => match (field.name(), value) {
            ("null_value", _) => out.push_str("null"),
            ("list_value" | "struct_value", Value::Message(inner)) => match inner.fields().next() {
                Some((field, value)) => whole_field(&field, value, out),
                None if field.name() == "list_value" => out.push_str("[]"),
                None => out.push_str("{}"),
            },
            (_, value) => one(value, out),
        },
    }
}

/// A time as Discord writes it: with six digits of a fraction, or with none.
fn moment(message: &DynamicMessage, out: &mut String) {
    let seconds = message.get_field_by_name("seconds");
    let seconds = seconds.and_then(|seconds| seconds.as_i64()).unwrap_or(0);
    let nanos = message.get_field_by_name("nanos");
    let nanos = nanos.and_then(|nanos| nanos.as_i32()).unwrap_or(0);
    let (year, month, day) = date(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    out.push('"');
    print(out, format_args!("{year:04}-{month:02}-{day:02}"));
    print(
        out,
        format_args!("T{hour:02}:{minute:02}:{:02}", second % 60),
    );
    if nanos >= 1000 {
        print(out, format_args!(".{:06}", nanos / 1000));
    }
    out.push_str("+00:00\"");
}

/// The date of a day, counted from the first of 1970: years are gone through one by one.
fn date(mut day: i64) -> (i64, usize, i64) {
    // As the calendar repeats itself, it is enough to go through 400 years.
    let cycles = day.div_euclid(146_097);
    day = day.rem_euclid(146_097);
    let mut year = 1970;
    while day >= days(year).iter().sum() {
        day -= days(year).iter().sum::<i64>();
        year += 1;
    }
    let mut month = 0;
    for length in days(year) {
        month += 1;
        if day < length {
            break;
        }
        day -= length;
    }
    (year + 400 * cycles, month, day + 1)
}

/// The lengths of a year's months.
fn days(year: i64) -> [i64; 12] {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if is_leap { 29 } else { 28 };
    [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => {
                out.push('\\');
                out.push(char);
            }
            ..' ' => print(out, format_args!("\\u{:04x}", u32::from(char))),
            _ => out.push(char),
        }
    }
    out.push('"');
}

fn print(out: &mut String, value: impl std::fmt::Display) {
    write!(out, "{value}").expect("a string takes all that is written");
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates() {
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(-1), (1969, 12, 31));
        assert_eq!(date(11_016), (2000, 2, 29));
        assert_eq!(date(19_722), (2023, 12, 31));
        assert_eq!(date(-719_162), (1, 1, 1));
        assert_eq!(date(2_932_896), (9999, 12, 31));
    }
}
