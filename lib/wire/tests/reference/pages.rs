//! Which page has what, and how to get there from another one.

use std::path::{Component, Path, PathBuf};

use prost_reflect::FileDescriptor;

use crate::markdown::{anchor, link};

/// Where all of `gateway.v1` stands.
pub(super) const GATEWAY: &str = "gateway.md";

/// The files of a package that have something to describe, by name.
pub(super) fn files(package: &str) -> Vec<FileDescriptor> {
    let mut files: Vec<FileDescriptor> = wire::rest::descriptors()
        .files()
        .filter(|file| file.package_name() == package)
        .filter(|file| file.messages().len() + file.enums().len() > 0)
        .collect();
    files.sort_by(|a, b| a.name().cmp(b.name()));
    files
}

/// The page that describes what stands in `file`.
pub(super) fn page_of(file: &FileDescriptor) -> String {
    match file.package_name() {
        "discord.v1" => format!("discord/{}.md", stem(file)),
        _ => GATEWAY.to_owned(),
    }
}

/// The name of a file without folder and ending.
pub(super) fn stem(file: &FileDescriptor) -> &str {
    let name = Path::new(file.name()).file_stem();
    name.and_then(|it| it.to_str()).unwrap_or_default()
}

/// What to call a file's area: `scheduled_event` is "Scheduled event".
pub(super) fn title(file: &FileDescriptor) -> String {
    let words = stem(file).replace('_', " ");
    let (first, rest) = words.split_at(1);
    format!("{}{rest}", first.to_uppercase())
}

/// A link from the page `from` to the heading `name` of the page for `file`.
pub(super) fn link_to(from: &str, file: &FileDescriptor, name: &str) -> String {
    let page = page_of(file);
    let target = format!("{}#{}", relative(from, &page), anchor(name));
    link(&format!("`{name}`"), &target)
}

/// The way from one page to another: nothing, if it is the same.
pub(super) fn relative(from: &str, to: &str) -> String {
    let folder = |page: &str| page.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    match (folder(from), folder(to)) {
        _ if from == to => String::new(),
        (Some(a), Some(b)) if a == b => to[b.len() + 1..].to_owned(),
        (Some(_), _) => format!("../{to}"),
        (None, _) => to.to_owned(),
    }
}

/// The page that `link` on the page `from` leads to.
pub(super) fn resolve(from: &Path, link: &str) -> PathBuf {
    let joined = from.parent().unwrap_or(from).join(link);
    let mut path = PathBuf::new();
    for part in joined.components() {
        if part != Component::ParentDir || !path.pop() {
            path.push(part);
        }
    }
    path
}
