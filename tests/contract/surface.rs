//! `tests/discord/surface.txt`, read: the objects and enums of Discord's HTTP API.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// All that Discord's HTTP API sends and takes.
pub(super) struct Surface {
    pub(super) objects: BTreeMap<String, Object>,
    pub(super) enums: BTreeMap<String, Enum>,
    pub(super) operations: BTreeMap<String, Operation>,
}

/// An operation of Discord's HTTP API.
#[derive(Default)]
pub(super) struct Operation {
    /// `GET /users/@me`
    pub(super) route: String,
    /// Names and types of what stands in the path, and in the query.
    pub(super) path: Vec<(String, Type)>,
    pub(super) query: Vec<(String, Type)>,
    pub(super) body: Option<Type>,
    /// Names of the parts that are files.
    pub(super) files: Vec<String>,
    /// Statuses of success, with the types of their bodies.
    pub(super) answers: Vec<(String, Type)>,
}

impl Operation {
    fn new(route: &str) -> Self {
        Self {
            route: route.to_owned(),
            ..Self::default()
        }
    }

    /// Takes a line that stands below the operation's own.
    fn line(&mut self, line: &str) {
        let (what, rest) = line.split_once(' ').expect("a line says more than a word");
        let (name, kind) = rest.split_once(' ').unwrap_or((rest, ""));
        let named = || (name.to_owned(), Type::parse(kind));
        match what {
            "path" => self.path.push(named()),
            "query" => self.query.push(named()),
            "body" => self.body = Some(Type::parse(rest)),
            "files" => self.files.push(name.to_owned()),
            "answer" if kind.is_empty() => {}
            "answer" => self.answers.push(named()),
            _ => panic!("not known: {line}"),
        }
    }
}

/// An object with its members. One that is a union of others has none.
pub(super) struct Object {
    /// Whether it is the body of a request, or an element of that.
    pub(super) body: bool,
    pub(super) members: Vec<(String, Type)>,
}

/// An enum. One of words has no numbers.
pub(super) struct Enum {
    pub(super) words: bool,
    pub(super) values: Vec<(String, i32)>,
}

/// What a member holds. That it may be null or absent is so in the contract for every member.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Type {
    Array(Box<Self>),
    Map(Box<Self>),
    /// A plain type, an object or an enum.
    Named(String),
    OneOf(Vec<Self>),
}

impl Surface {
    pub(super) fn parse(text: &str) -> Self {
        let (mut objects, mut enums) = (BTreeMap::new(), BTreeMap::new());
        let mut operations: BTreeMap<String, Operation> = BTreeMap::new();
        let (mut object, mut operation) = (None, None);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some(head) = line.strip_prefix("operation ") {
                let (name, route) = head.split_once(' ').expect("an operation has a route");
                operations.insert(name.to_owned(), Operation::new(route));
                (object, operation) = (None, Some(name.to_owned()));
            } else if let (Some(more), None, Some(name)) =
                (line.strip_prefix("  "), &object, &operation)
            {
                let operation: Option<&mut Operation> = operations.get_mut(name);
                operation.expect("it was just inserted").line(more);
            } else if let Some(member) = line.strip_prefix("  ") {
                let name: &String = object.as_ref().expect("members stand below their object");
                let object: &mut Object = objects.get_mut(name).expect("it was just inserted");
                object.members.extend(parse_member(member));
            } else if let Some(head) = line.strip_prefix("object ") {
                let (name, body) = match head.strip_suffix(" body") {
                    Some(name) => (name, true),
                    None => (head, false),
                };
                object = Some(name.to_owned());
                let members = Vec::new();
                objects.insert(name.to_owned(), Object { body, members });
            } else if let Some(line) = line.strip_prefix("enum ") {
                let (name, kind) = line.split_once(' ').expect("an enum has a kind");
                enums.insert(name.to_owned(), Enum::parse(kind));
            }
        }
        Self {
            objects,
            enums,
            operations,
        }
    }

    /// The names of all that has a name of its own, and of bodies.
    pub(super) fn schemas(&self) -> Vec<&String> {
        let objects = self.objects.iter();
        let named = objects.filter(|(name, object)| object.body || !name.contains('.'));
        named
            .map(|(name, _)| name)
            .chain(self.enums.keys())
            .collect()
    }

    pub(super) fn is_body(&self, schema: &str) -> bool {
        self.objects.get(schema).is_some_and(|object| object.body)
    }
}

impl Enum {
    fn parse(text: &str) -> Self {
        let (kind, values) = text.split_once(": ").expect("an enum has values");
        let numbers = values.split(' ').filter_map(|value| {
            let (name, number) = value.rsplit_once('=')?;
            Some((name.to_owned(), number.parse().ok()?))
        });
        Self {
            words: kind == "string",
            values: numbers.collect(),
        }
    }
}

impl Type {
    /// Reads `text` as scripts/surface.py writes a type.
    pub(super) fn parse(text: &str) -> Self {
        let parts: Vec<&str> = split(text);
        let [part] = parts[..] else {
            return Self::OneOf(parts.into_iter().map(Self::parse).collect());
        };
        let part = part.trim_start_matches('?');
        let inside = |open, close| part.strip_prefix(open)?.strip_suffix(close);
        if let Some(element) = inside('[', ']') {
            return Self::Array(Box::new(Self::parse(element)));
        }
        if let Some(value) = inside('{', '}') {
            return Self::Map(Box::new(Self::parse(value)));
        }
        Self::Named(part.to_owned())
    }

    /// What it can be. Null is nothing, since every member can be that.
    pub(super) fn alternatives(&self) -> BTreeSet<&Self> {
        match self {
            Self::OneOf(types) => types.iter().flat_map(Self::alternatives).collect(),
            Self::Named(name) if name == "null" => BTreeSet::new(),
            Self::Array(_) | Self::Map(_) | Self::Named(_) => BTreeSet::from([self]),
        }
    }

    /// The name at the bottom of arrays and maps.
    pub(super) fn innermost(&self) -> Option<&str> {
        match self {
            Self::Array(inner) | Self::Map(inner) => inner.innermost(),
            Self::Named(name) => Some(name),
            Self::OneOf(_) => None,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Array(inner) => write!(f, "[{inner}]"),
            Self::Map(inner) => write!(f, "{{{inner}}}"),
            Self::Named(name) => f.write_str(name),
            Self::OneOf(types) => {
                let types: Vec<String> = types.iter().map(ToString::to_string).collect();
                f.write_str(&types.join("|"))
            }
        }
    }
}

/// A member's name and type. `None`: the line says that the object is a union.
fn parse_member(line: &str) -> Option<(String, Type)> {
    let (name, kind) = line.split_once(' ').expect("a member has a type");
    let name = name.strip_suffix('?').unwrap_or(name);
    (name != "=").then(|| (name.to_owned(), Type::parse(kind)))
}

/// The alternatives of a type: what stands between those `|` that are in no brackets.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0;
    text.split(|c| {
        depth += match c {
            '[' | '{' => 1,
            ']' | '}' => -1,
            _ => 0,
        };
        c == '|' && depth == 0
    })
    .collect()
}

#[test]
fn types_are_read() {
    let named = |name: &str| Type::Named(name.to_owned());
    assert_eq!(Type::parse("?snowflake"), named("snowflake"));
    let nested = Type::parse("?[A|{?int32}]|string");
    assert_eq!(nested.to_string(), "[A|{int32}]|string");
    assert_eq!(
        nested,
        Type::OneOf(vec![
            Type::Array(Box::new(Type::OneOf(vec![
                named("A"),
                Type::Map(Box::new(named("int32"))),
            ]))),
            named("string"),
        ])
    );
    assert_eq!(
        Type::parse("int64|null").alternatives(),
        BTreeSet::from([&named("int64")])
    );
}
