//! Protobuf that no gateway would write: a typed error that names the place, or what protobuf says that
//! it means. Never a panic, and never more time or memory than the bytes are worth.

use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, Value};
use transcode::{Error, Mistake, RenderError, Schema, Scratch};

use crate::json::Json;

/// Writes protobuf of a message by the names of its fields, right or wrong.
#[derive(Clone)]
struct Bytes {
    message: &'static str,
    bytes: Vec<u8>,
}

fn message(message: &'static str) -> Bytes {
    Bytes {
        message,
        bytes: Vec::new(),
    }
}

impl Bytes {
    fn field(&self, name: &str) -> FieldDescriptor {
        let descriptor = wire::descriptors().get_message_by_name(self.message);
        descriptor.unwrap().get_field_by_name(name).unwrap()
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    fn tag(self, name: &str, wire: u32) -> Self {
        let number = self.field(name).number();
        self.raw(&varint(u64::from(number << 3 | wire)))
    }

    fn varint(self, name: &str, value: u64) -> Self {
        self.tag(name, 0).raw(&varint(value))
    }

    fn bytes(self, name: &str, bytes: &[u8]) -> Self {
        self.tag(name, 2)
            .raw(&varint(bytes.len() as u64))
            .raw(bytes)
    }

    fn text(self, name: &str, text: &str) -> Self {
        self.bytes(name, text.as_bytes())
    }

    /// Numbers of fields, as `nulls` and `empties` have them.
    fn mention(self, own: &str, names: &[&str]) -> Self {
        let numbers = names
            .iter()
            .map(|name| u64::from(self.field(name).number()));
        let numbers: Vec<u8> = numbers.flat_map(varint).collect();
        self.bytes(own, &numbers)
    }

    fn nested(self, name: &str, inner: &Self) -> Self {
        self.bytes(name, &inner.bytes)
    }

    fn render(&self) -> Result<String, RenderError> {
        let schema = Schema::new(wire::descriptors());
        let shape = schema.shape(self.message).unwrap();
        let mut scratch = Scratch::default();
        let rendered = schema.render(shape, &self.bytes, &mut scratch);
        rendered.map(str::to_owned)
    }

    fn refused(&self, path: &str, mistake: Mistake) {
        let path = path.to_owned();
        assert_eq!(self.render(), Err(RenderError { path, mistake }));
    }

    fn renders(&self, json: &str) {
        let rendered = self.render().map(|text| Json::parse(&text));
        assert!(rendered == Ok(Json::parse(json)), "{:?}", self.render());
    }
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

const MESSAGE: &str = "discord.v1.Message";
const EMBED: &str = "discord.v1.Embed";
const FIELD: &str = "discord.v1.EmbedField";
const PARAMS: &str = "discord.v1.MessageParams";

/// A message whose fourth embed has this as its first field.
fn in_a_field(field: &Bytes) -> Bytes {
    let embed = message(EMBED).nested("fields", field);
    let empty = message(EMBED);
    let three = message(MESSAGE).nested("embeds", &empty);
    let three = three.nested("embeds", &empty).nested("embeds", &empty);
    three.nested("embeds", &embed)
}

#[test]
fn places() {
    let field = || message(FIELD).text("name", "n");
    let path = "embeds[3].fields[0].value";
    let bad = field().bytes("value", b"a\xffb");
    in_a_field(&bad).refused(path, Mistake::NotUtf8);
    let long = field().bytes("value", &[0xc0; 100]);
    in_a_field(&long).refused(path, Mistake::NotUtf8);
    in_a_field(&field().varint("value", 1)).refused(path, Mistake::Wire);
    let cut = field().tag("value", 2).raw(&[9]);
    in_a_field(&cut).refused(path, Mistake::Truncated);
    let inside = "embeds[3].fields[0]";
    let unknown = field().raw(&[0xf8, 0x3d, 1]);
    in_a_field(&unknown).refused(inside, Mistake::Unknown(991));
    let error = in_a_field(&bad).render().unwrap_err().to_string();
    assert_eq!(error, "`embeds[3].fields[0].value`: text must be UTF-8");
}

#[test]
fn no_protobuf() {
    let malformed = |reason: &str| Mistake::Malformed(reason.to_owned());
    let long = malformed("a varint of more than 64 bits");
    let content = message(MESSAGE).text("content", "c");
    let with = |bytes: &[u8]| content.clone().raw(bytes);
    with(&[0x80]).refused("", Mistake::Truncated);
    with(&[0xff; 10]).refused("", long.clone());
    with(&[0xff; 11]).refused("", long.clone());
    let value = message(MESSAGE).tag("type", 0);
    value.refused("type", Mistake::Truncated);
    value.clone().raw(&[0x80; 11]).refused("type", long.clone());
    // Of the tenth byte, one bit counts.
    let most = [[0xff; 9].as_slice(), &[1]].concat();
    value.clone().raw(&most).renders(r#"{"type":-1}"#);
    let more = [[0xff; 9].as_slice(), &[2]].concat();
    value.clone().raw(&more).refused("type", long);
    // Needlessly long, which is allowed.
    value.raw(&[0x81, 0x80, 0x00]).renders(r#"{"type":1}"#);
    let range = malformed("a field's number is out of range");
    with(&[0x02, 0x00]).refused("", range.clone());
    with(&[0x00]).refused("", range.clone());
    with(&varint(1 << 32)).refused("", range);
    // Groups, and wire types that there are not.
    for wire in [3, 4, 6, 7] {
        let group = message(MESSAGE).tag("content", wire);
        group.refused("content", Mistake::Wire);
    }
    with(&[0xfb, 0x3e, 0xfc, 0x3e]).refused("", Mistake::Unknown(1007));
    let id = message(MESSAGE).tag("id", 1);
    id.clone().raw(&[1; 7]).refused("id", Mistake::Truncated);
    id.raw(&[1, 0, 0, 0, 0, 0, 0, 0]).renders(r#"{"id":"1"}"#);
    // A length beyond all memory.
    let vast = message(MESSAGE).tag("content", 2).raw(&[0xff; 9]);
    vast.raw(&[1]).refused("content", Mistake::Truncated);
}

/// What is read never reaches beyond the message that it is part of.
#[test]
fn beyond_the_end() {
    let mut embed = message(EMBED).text("title", "t").tag("color", 0);
    embed.bytes.push(0x80);
    let outer = message(MESSAGE).nested("embeds", &embed).raw(&[1]);
    outer.refused("embeds[0].color", Mistake::Truncated);
    let list = message(MESSAGE).bytes("mention_roles", &[1; 12]);
    let list = list.varint("type", 0).varint("flags", 0);
    list.refused("mention_roles[1]", Mistake::Truncated);
    // One of our own, and one that is passed over.
    let user = message("discord.v1.User").tag("nulls", 0);
    let own = message(MESSAGE).nested("author", &user).raw(&[1]);
    own.refused("author.nulls", Mistake::Truncated);
    let user = message("discord.v1.User").raw(&[0xf8, 0x3d]);
    let bytes = message(MESSAGE).nested("author", &user).raw(&[1]).bytes;
    let schema = Schema::new(wire::descriptors());
    let shape = schema.shape(MESSAGE).unwrap();
    let mut scratch = Scratch::default();
    let known = schema.render_known(shape, &bytes, &mut scratch);
    assert_eq!(known.unwrap_err().mistake, Mistake::Truncated);
    let nothing = message(MESSAGE).bytes("timestamp", &[0x08]).raw(&[1]);
    nothing.refused("timestamp", Mistake::Truncated);
    let nonce = message(MESSAGE).bytes("nonce", &[0x11]).raw(&[1; 8]);
    assert!(nonce.render().is_err());
}

#[test]
fn too_deep() {
    let nest = |name, depth| {
        let mut bytes = message(MESSAGE).text("content", "c");
        for _ in 0..depth {
            bytes = message(MESSAGE).nested(name, &bytes);
        }
        bytes
    };
    assert!(nest("referenced_message", 88).render().is_ok());
    let error = nest("referenced_message", 89).render().unwrap_err();
    assert_eq!(error.mistake, Mistake::Deep);
    assert!(
        error
            .path
            .ends_with("referenced_message.referenced_message"),
        "{}",
        error.path
    );
    let error = nest("referenced_message", 3_000).render().unwrap_err();
    assert_eq!(error.mistake, Mistake::Deep);
    // Lists within values.
    let mut list = Vec::new();
    for depth in 1..4_000 {
        let element = [varint(list.len() as u64), list].concat();
        list = [vec![0x0a], element].concat();
        list = [vec![0x32], varint(list.len() as u64), list].concat();
        let fits = message(MESSAGE).bytes("nonce", &list).render();
        if depth > 60 {
            assert_eq!(fits.unwrap_err().mistake, Mistake::Deep);
            break;
        }
    }
    // And text within text.
    let kept = |depth| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(
        message(MESSAGE)
            .text("unknown_json", &kept(126))
            .render()
            .is_ok()
    );
    let deep = message(MESSAGE).text("unknown_json", &kept(127));
    deep.refused("unknown_json", Mistake::Json(Error::Deep { at: 131 }));
}

#[test]
fn numbers_and_times() {
    let f64 = |number: f64| [vec![0x11], number.to_bits().to_le_bytes().to_vec()].concat();
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let nonce = message(MESSAGE).bytes("nonce", &f64(number));
        nonce.refused("nonce", Mistake::NotFinite);
    }
    message(MESSAGE)
        .bytes("nonce", &f64(-0.5))
        .renders(r#"{"nonce":-0.5}"#);
    message(MESSAGE)
        .bytes("nonce", &[])
        .refused("nonce", Mistake::NoKind);
    let time = |seconds: i64, nanos: i32| {
        let time = [
            vec![0x08],
            varint(seconds as u64),
            vec![0x10],
            varint(nanos as u64),
        ];
        message(MESSAGE).bytes("timestamp", &time.concat())
    };
    time(0, 0).renders(r#"{"timestamp":"1970-01-01T00:00:00+00:00"}"#);
    time(-1, 1_000).renders(r#"{"timestamp":"1969-12-31T23:59:59.000001+00:00"}"#);
    time(951_782_400, 999).renders(r#"{"timestamp":"2000-02-29T00:00:00+00:00"}"#);
    let last = r#"{"timestamp":"9999-12-31T23:59:59.999999+00:00"}"#;
    time(253_402_300_799, 999_999_999).renders(last);
    for (seconds, nanos) in [
        (253_402_300_800, 0),
        (-62_135_596_801, 0),
        (i64::MAX, 0),
        (0, 1_000_000_000),
        (0, -1),
    ] {
        time(seconds, nanos).refused("timestamp", Mistake::Time);
    }
    let unknown = message(MESSAGE).bytes("timestamp", &[0x18, 1]);
    unknown.refused("timestamp", Mistake::Unknown(3));
}

#[test]
fn kept_text() {
    let kept = |text: &str| message(MESSAGE).text("unknown_json", text);
    let malformed = |at| Mistake::Json(Error::Malformed { at });
    kept("").renders("{}");
    kept("{}").renders("{}");
    kept(" { } \n").renders("{}");
    kept(r#" { "x" : [ 1 ] } "#).renders(r#"{"x":[1]}"#);
    kept(r#"{"nulls":1,"unknown_json":2}"#).renders(r#"{"nulls":1,"unknown_json":2}"#);
    for (text, mistake) in [
        ("[]", Mistake::Json(Error::NotObject)),
        ("1", Mistake::Json(Error::NotObject)),
        (" \"{}\" ", Mistake::Json(Error::NotObject)),
        ("{", malformed(1)),
        ("{}}", malformed(2)),
        ("{}{}", malformed(2)),
        (r#"{"x":1},"y":{"z":2}"#, malformed(7)),
        (r#"{"x":1"#, malformed(6)),
        (r#"{"x":1,}"#, malformed(7)),
        (r#"{x:1}"#, malformed(1)),
        ("{\"x\":\"\n\"}", malformed(6)),
        (
            r#"{"id":"1","\u0069d":"2"}"#,
            Mistake::Json(Error::Duplicate { at: 10 }),
        ),
    ] {
        kept(text).refused("unknown_json", mistake);
    }
    let bytes = message(MESSAGE).bytes("unknown_json", b"{\"x\":\"\xff\"}");
    bytes.refused("unknown_json", Mistake::NotUtf8);
    // It wins over whatever the fields say, however it is spelt.
    let both = kept(r#"{"content":[],"t\u0074s":1,"type":null}"#);
    let both = both
        .text("content", "c")
        .varint("tts", 1)
        .varint("flags", 4);
    let both = both.mention("nulls", &["type", "webhook_id"]);
    both.renders(r#"{"content":[],"tts":1,"type":null,"flags":4,"webhook_id":null}"#);
    let alone = kept(r#"{"content":"b"}"#).text("content", "a");
    assert_eq!(alone.render().unwrap(), r#"{"content":"b"}"#);
    // Also over text that is none.
    let lost = kept(r#"{"content":"b"}"#).bytes("content", b"\xff");
    lost.refused("content", Mistake::NotUtf8);
}

#[test]
fn nulls_and_empties() {
    let name = |name: &str| name.to_owned();
    let both = message(MESSAGE)
        .text("content", "")
        .mention("nulls", &["content"]);
    both.refused("", Mistake::Conflict(name("content")));
    let both = message(MESSAGE)
        .mention("empties", &["embeds"])
        .mention("nulls", &["embeds"]);
    both.refused("", Mistake::Conflict(name("embeds")));
    let both = message(MESSAGE)
        .nested("embeds", &message(EMBED))
        .mention("empties", &["embeds"]);
    both.refused("", Mistake::Conflict(name("embeds")));
    let single = message(MESSAGE).mention("empties", &["content"]);
    single.refused("", Mistake::NotList(name("content")));
    for own in ["nulls", "empties"] {
        for (number, bytes) in [("0", [0x80, 0]), ("999", [0xe7, 7]), ("1001", [0xe9, 7])] {
            let unknown = message(MESSAGE).bytes(own, &bytes);
            unknown.refused(own, Mistake::NoField(number.to_owned()));
        }
    }
    message(MESSAGE)
        .bytes("nulls", &[0x80])
        .refused("nulls", Mistake::Truncated);
    // Packed or not, in parts, and more than once.
    let number = u64::from(message(MESSAGE).field("content").number());
    let parts = message(MESSAGE)
        .varint("nulls", number)
        .mention("nulls", &["type", "content"]);
    parts
        .bytes("nulls", &[])
        .renders(r#"{"content":null,"type":null}"#);
}

#[test]
fn by_name() {
    let mask = |names: &[&str]| {
        let paths = names.iter().map(|name| {
            [
                vec![0x0a],
                varint(name.len() as u64),
                name.as_bytes().to_vec(),
            ]
            .concat()
        });
        paths.collect::<Vec<_>>().concat()
    };
    let params = || message(PARAMS);
    let sound = params()
        .bytes("nulls", &mask(&["content"]))
        .bytes("empties", &mask(&["embeds"]));
    sound.clone().renders(r#"{"content":null,"embeds":[]}"#);
    // Two masks are one with the names of both.
    let more = sound.bytes("nulls", &mask(&["flags", "content"]));
    more.renders(r#"{"content":null,"embeds":[],"flags":null}"#);
    for (given, shown) in [
        ("contents", "contents"),
        ("embeds.title", "embeds.title"),
        ("nulls", "nulls"),
        ("", ""),
        ("a\nb\"", "a?b?"),
    ] {
        let unknown = params().bytes("nulls", &mask(&[given]));
        unknown.refused("nulls", Mistake::NoField(shown.to_owned()));
    }
    let conflict = params()
        .text("content", "c")
        .bytes("nulls", &mask(&["content"]));
    conflict.refused("", Mistake::Conflict("content".to_owned()));
    let single = params().bytes("empties", &mask(&["content"]));
    single.refused("", Mistake::NotList("content".to_owned()));
    params().varint("nulls", 1).refused("nulls", Mistake::Wire);
    params()
        .bytes("nulls", &[0x10, 1])
        .refused("nulls", Mistake::Unknown(2));
    params()
        .bytes("nulls", &[0x0a, 5, b'a'])
        .refused("nulls", Mistake::Truncated);
    // Objects within have numbers.
    let embed = message(EMBED).mention("nulls", &["title"]);
    let embeds = params().nested("embeds", &embed);
    embeds.renders(r#"{"embeds":[{"title":null}]}"#);
}

/// Fields that come once, twice; lists in parts; keys that come again.
#[test]
fn unusual() {
    let twice = message(MESSAGE)
        .text("content", "a")
        .varint("type", 1)
        .text("content", "b");
    twice.renders(r#"{"content":"b","type":1}"#);
    let author = |name: &str, text: &str| message("discord.v1.User").text(name, text);
    let split = message(MESSAGE).nested("author", &author("username", "a"));
    let split = split.nested("author", &author("avatar", "b"));
    split.renders(r#"{"author":{"username":"a","avatar":"b"}}"#);
    let list = message(MESSAGE).bytes("mention_roles", &[1, 0, 0, 0, 0, 0, 0, 0]);
    let list = list
        .varint("type", 0)
        .tag("mention_roles", 1)
        .raw(&[2, 0, 0, 0, 0, 0, 0, 0]);
    list.renders(r#"{"mention_roles":["1","2"],"type":0}"#);
    message(MESSAGE).bytes("mention_roles", &[]).renders("{}");
    let list = message(MESSAGE).nested("embeds", &message(EMBED).text("title", "a"));
    let list = list
        .varint("type", 0)
        .nested("embeds", &message(EMBED).text("title", "b"));
    list.renders(r#"{"embeds":[{"title":"a"},{"title":"b"}],"type":0}"#);
    let nonce = message(MESSAGE).bytes("nonce", &[0x20, 1, 0x1a, 1, b'x', 0x08, 0]);
    nonce.renders(r#"{"nonce":null}"#);
    let twice = message(MESSAGE).text("unknown_json", r#"{"x":1}"#);
    twice
        .text("unknown_json", r#"{"y":2}"#)
        .renders(r#"{"y":2}"#);
    // A mistake within is still found.
    let wrong = message(MESSAGE).text("content", "a").text("content", "b");
    let wrong = wrong.nested("embeds", &message(EMBED).raw(&[0xf8, 0x3d, 1]));
    wrong.refused("embeds[0]", Mistake::Unknown(991));
}

#[test]
fn maps() {
    let owners = "authorizing_integration_owners";
    let interaction = |entries: &[&[u8]]| {
        let empty = message("discord.v1.Interaction");
        entries
            .iter()
            .fold(empty, |bytes, entry| bytes.bytes(owners, entry))
    };
    let of = |json: &str| format!("{{\"{owners}\":{json}}}");
    // The descriptor says what keys and values are; this test is about one that it knows.
    let field = interaction(&[]).field(owners);
    let Kind::Message(entry) = field.kind() else {
        panic!("a map has entries")
    };
    assert_eq!(entry.map_entry_key_field().kind(), Kind::String);
    assert_eq!(entry.map_entry_value_field().kind(), Kind::Fixed64);
    let value = [0x11, 9, 0, 0, 0, 0, 0, 0, 0];
    let one = [&[0x0a, 1, b'1'], value.as_slice()].concat();
    let reversed = [value.as_slice(), &[0x0a, 1, b'1']].concat();
    interaction(&[&one]).renders(&of(r#"{"1":"9"}"#));
    interaction(&[&reversed]).renders(&of(r#"{"1":"9"}"#));
    interaction(&[&value]).renders(&of(r#"{"":"9"}"#));
    interaction(&[&[]]).renders(&of(r#"{"":"0"}"#));
    interaction(&[&[0x0a, 1, b'1']]).renders(&of(r#"{"1":"0"}"#));
    // The last of those with one key counts.
    let again = [&[0x0a, 1, b'1', 0x11, 8], value[2..].as_ref()].concat();
    interaction(&[&one, &again]).renders(&of(r#"{"1":"8"}"#));
    let path = format!("{owners}[0]");
    let more = [one.as_slice(), &[0x18, 1]].concat();
    interaction(&[&more]).refused(&path, Mistake::Unknown(3));
    interaction(&[&[0x08, 1]]).refused(&path, Mistake::Wire);
    interaction(&[&[0x0a, 2, b'1']]).refused(&path, Mistake::Truncated);
    interaction(&[&one[..6]]).refused(&path, Mistake::Truncated);
    interaction(&[&[0x0a, 1, 0xff]]).refused(&path, Mistake::NotUtf8);
}

/// What is not in order is put in order only up to a size: the library's tree is large.
#[test]
fn large_disorder() {
    let text = "x".repeat(1 << 20);
    let large = message(MESSAGE).text("content", &text);
    assert!(large.render().is_ok());
    large.text("content", "b").refused("", Mistake::Size);
}

/// So many of each thing that can be repeated that this would not end if it took time by its square.
#[test]
fn many() {
    let number = message(MESSAGE).mention("nulls", &["content"]).bytes;
    let mut numbers = message(MESSAGE);
    let mut members = String::from("{\"a\":1");
    for index in 0..200_000 {
        numbers = numbers.raw(&number);
        members.push_str(&format!(",\"a{index}\":1"));
    }
    numbers.renders(r#"{"content":null}"#);
    members.push('}');
    assert!(
        message(MESSAGE)
            .text("unknown_json", &members)
            .render()
            .is_ok()
    );
    // Members that win, at each level.
    let mut bytes = message(MESSAGE).text("content", &"c".repeat(10_000));
    for _ in 0..80 {
        let kept = bytes.text("unknown_json", r#"{"content":"d","x":1}"#);
        bytes = message(MESSAGE)
            .text("content", "e")
            .nested("referenced_message", &kept);
    }
    assert!(bytes.render().is_ok());
}

/// Empty messages are two bytes each, and three in JSON.
#[test]
fn amplification() {
    let pair = message(MESSAGE).nested("embeds", &message(EMBED)).bytes;
    let many = message(MESSAGE).raw(&pair.repeat(1 << 19));
    assert!(many.render().unwrap().len() < many.bytes.len() * 2);
}

/// The library's own encoding of messages with everything set is read without a detour.
#[test]
fn what_libraries_write_is_usual() {
    let descriptor = wire::descriptors().get_message_by_name(MESSAGE).unwrap();
    let mut decoded = DynamicMessage::new(descriptor);
    decoded.set_field_by_name("content", Value::String("x".repeat(2 << 20)));
    decoded.set_field_by_name(
        "mention_roles",
        Value::List(vec![Value::U64(1), Value::U64(0)]),
    );
    let bytes = message(MESSAGE).raw(&decoded.encode_to_vec());
    // It is larger than what would be put in order.
    assert!(bytes.render().is_ok());
}
