//! `tests/discord/mapping.txt` and `gaps.txt`, read: what stands for which schema, and why not.

use std::fmt;

use prost_reflect::DescriptorPool;

/// What stands for which schema.
pub(super) struct Mapping {
    pub(super) rules: Vec<Rule>,
    /// The names in `discord.v1` that rules can mean.
    names: Vec<String>,
}

/// A line: a schema, and what is said of it.
pub(super) struct Rule {
    pub(super) schema: Pattern,
    means: Means,
}

/// The name of one schema, or of several.
pub(super) struct Pattern(String);

enum Means {
    /// The name of a message or an enum, with `*` for what the pattern's `*` stands for.
    Name(String),
    Reason(String),
}

impl Mapping {
    pub(super) fn parse(text: &str, contract: &DescriptorPool) -> Self {
        let messages = contract.all_messages().map(|it| it.full_name().to_owned());
        let enums = contract.all_enums().map(|it| it.full_name().to_owned());
        Self {
            rules: Rule::parse_all(text),
            names: messages
                .chain(enums)
                .filter_map(|name| Some(name.strip_prefix("discord.v1.")?.to_owned()))
                .collect(),
        }
    }

    /// The message or enum that stands for a schema. `Err`: nothing, and why; `None`: nothing known.
    pub(super) fn find(&self, schema: &str, body: bool) -> Option<Result<String, &str>> {
        let rule = &self.rules[self.line(schema, body)?];
        Some(match &rule.means {
            Means::Name(name) => Ok(rule.schema.fill(schema, name)),
            Means::Reason(reason) => Err(reason),
        })
    }

    /// The place of the first rule that says something of a schema.
    pub(super) fn line(&self, schema: &str, body: bool) -> Option<usize> {
        self.rules.iter().position(|rule| {
            if rule.schema.0 == "body" {
                return body;
            }
            let known = match &rule.means {
                Means::Name(name) if name.contains('*') => {
                    self.names.contains(&rule.schema.fill(schema, name))
                }
                Means::Name(_) | Means::Reason(_) => true,
            };
            rule.schema.matches(schema) && known
        })
    }
}

impl Rule {
    /// The rules of a file, which has comments too.
    pub(super) fn parse_all(text: &str) -> Vec<Self> {
        text.lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(Self::parse)
            .collect()
    }

    fn parse(line: &str) -> Self {
        let (schema, means) = match (line.split_once(" = "), line.split_once(" : ")) {
            (Some((schema, name)), None) => (schema, Means::Name(name.to_owned())),
            (None, Some((schema, reason))) => (schema, Means::Reason(reason.to_owned())),
            _ => panic!("neither `SCHEMA = NAME` nor `SCHEMA : REASON`: {line}"),
        };
        assert!(
            schema.matches('*').count() < 2 && !schema.contains(' '),
            "a schema is one word with one * at most: {line}"
        );
        Self {
            schema: Pattern(schema.to_owned()),
            means,
        }
    }
}

impl Pattern {
    pub(super) fn matches(&self, schema: &str) -> bool {
        self.star(schema).is_some()
    }

    /// `name` with what the pattern's `*` stands for in `schema`.
    fn fill(&self, schema: &str, name: &str) -> String {
        name.replace('*', self.star(schema).unwrap_or_default())
    }

    /// What the `*` stands for in `schema`; nothing, if there is none. `None`: it does not match.
    fn star<'a>(&self, schema: &'a str) -> Option<&'a str> {
        match self.0.split_once('*') {
            Some((start, end)) => schema.strip_prefix(start)?.strip_suffix(end),
            None => (self.0 == schema).then_some(""),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.means {
            Means::Name(name) => write!(f, "{} = {name}", self.schema.0),
            Means::Reason(reason) => write!(f, "{} : {reason}", self.schema.0),
        }
    }
}

#[test]
fn the_first_line_that_says_something_counts() {
    let text =
        "# A comment.\n\nUserBody = Message\nbody : later\n*Response = *\nUser* = User\nX : no";
    let mapping = Mapping::parse(text, wire::descriptors());
    let name = |name: &str| Some(Ok(name.to_owned()));
    assert_eq!(mapping.find("UserBody", true), name("Message"));
    assert_eq!(mapping.find("OtherBody", true), Some(Err("later")));
    assert_eq!(mapping.find("ChannelResponse", false), name("Channel"));
    assert_eq!(mapping.find("UserPartResponse", false), name("User"));
    assert_eq!(mapping.find("X", false), Some(Err("no")));
    assert_eq!(mapping.find("Y", false), None);
}
