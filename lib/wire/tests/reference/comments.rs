//! The comments of the `.proto` files. The descriptors that the crate embeds have none.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use prost_reflect::{DescriptorPool, FileDescriptor};
use protox::Compiler;

/// Number of `syntax` in a file's descriptor: the comment above it is that of the file.
const SYNTAX: i32 = 12;

/// What the `.proto` files say of everything that has a name.
pub(super) struct Comments(BTreeMap<String, Comment>);

/// A comment, and the page of Discord's that it points to.
#[derive(Default)]
pub(super) struct Comment {
    /// A comment that stands by itself before it, or at the beginning of what it holds: the heading of
    /// what follows.
    pub(super) heading: Option<String>,
    /// Where in its file it stands.
    pub(super) line_number: i32,
    /// The paragraphs, each in one line.
    pub(super) paragraphs: Vec<String>,
    pub(super) see: Option<String>,
}

impl Comments {
    /// Reads the contract in the folder `proto`.
    pub(super) fn read(proto: &Path) -> Result<Self, Box<dyn Error>> {
        let mut compiler = Compiler::new([proto])?;
        compiler.include_imports(true).include_source_info(true);
        compiler.open_files(wire::rest::descriptors().files().filter_map(|file| {
            let name = file.name().to_owned();
            (!name.starts_with("google/")).then_some(name)
        }))?;
        let contract = DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice())?;
        let mut comments = BTreeMap::new();
        for file in contract.files() {
            let mut texts = texts(&file);
            for (name, path) in names(&file) {
                comments.insert(name, texts.remove(&path).unwrap_or_default());
            }
        }
        Ok(Self(comments))
    }

    /// The comment of what has this full name; of a file, that of its path.
    pub(super) fn of(&self, name: &str) -> &Comment {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not in proto/: run the test `bootstrap` first"))
    }
}

impl Comment {
    fn parse(text: &str) -> Self {
        let mut comment = Self::default();
        for paragraph in text.split("\n\n") {
            let lines: Vec<&str> = paragraph.lines().map(str::trim).collect();
            let (see, lines): (Vec<&str>, Vec<&str>) = lines
                .iter()
                .partition(|line| line.starts_with("See https://"));
            comment.see = see.first().map(|line| line[4..].to_owned()).or(comment.see);
            let line = lines.join(" ").trim().to_owned();
            comment
                .paragraphs
                .extend((!line.is_empty()).then_some(line));
        }
        comment
    }

    /// All of it in one line.
    pub(super) fn line(&self) -> String {
        self.paragraphs.join(" ")
    }
}

/// A file's comments by the path of what they stand above: those just above, and those before.
fn texts(file: &FileDescriptor) -> BTreeMap<Vec<i32>, Comment> {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    info.into_iter()
        .flat_map(|info| &info.location)
        .map(|place| {
            let detached = place.leading_detached_comments.last();
            let heading = detached.or(place.trailing_comments.as_ref());
            let heading = heading.map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "));
            let comment = Comment {
                heading,
                line_number: place.span.first().copied().unwrap_or_default(),
                ..Comment::parse(place.leading_comments())
            };
            (place.path.clone(), comment)
        })
        .collect()
}

/// The full names of all that a file has, with their paths.
fn names(file: &FileDescriptor) -> Vec<(String, Vec<i32>)> {
    let mut names = vec![(file.name().to_owned(), vec![SYNTAX])];
    let mut add = |name: &str, path: &[i32]| names.push((name.to_owned(), path.to_owned()));
    let pool = file.parent_pool();
    for message in pool.all_messages().filter(|it| it.parent_file() == *file) {
        add(message.full_name(), message.path());
        message
            .oneofs()
            .for_each(|it| add(it.full_name(), it.path()));
        message
            .fields()
            .for_each(|it| add(it.full_name(), it.path()));
    }
    for kind in pool.all_enums().filter(|it| it.parent_file() == *file) {
        add(kind.full_name(), kind.path());
        kind.values().for_each(|it| add(it.full_name(), it.path()));
    }
    for service in file.services() {
        add(service.full_name(), service.path());
        service
            .methods()
            .for_each(|it| add(it.full_name(), it.path()));
    }
    names
}
