//! Habits of the tree that no lint of the compiler's knows.

use std::fs;
use std::path::{Path, PathBuf};

/// A file is read as a whole or not at all.
const LINES: usize = 600;

#[test]
fn every_file_says_what_it_is_for() {
    refuse(
        ".rs files open with a `//!` sentence, or with their README",
        |_, source| !source.starts_with("//! ") && !source.starts_with("#![doc = include_str!"),
    );
}

#[test]
fn no_file_is_longer_than_a_person_reads() {
    refuse("files must have at most 600 lines", |_, source| {
        source.lines().count() > LINES
    });
}

#[test]
fn modules_are_named_by_their_file() {
    refuse("`foo.rs` and `foo/` instead of `mod.rs`", |path, _| {
        path.ends_with("mod.rs")
    });
}

#[test]
fn matches_are_complete() {
    let attribute = concat!("#[non_", "exhaustive]");
    refuse(
        "the compiler is to show every match when a variant is added",
        |_, source| source.contains(attribute),
    );
}

/// Libraries and services have errors that say what happens next; only what ends in front of a
/// person may do with a text.
#[test]
fn errors_are_typed() {
    refuse("`anyhow` is for binaries and tests", |path, source| {
        let for_people = path.ends_with("main.rs")
            || path.components().any(|part| {
                ["bench", "bin", "tests"]
                    .iter()
                    .any(|it| part.as_os_str() == *it)
            });
        !for_people && source.contains("anyhow")
    });
}

/// What images are made of is named. All else stays where it is, such as a bot's token in a file.
#[test]
fn a_build_of_an_image_sees_nothing_else() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let other = root.join(".containerignore");
    assert!(!other.exists(), "Docker reads .dockerignore alone");
    let text = fs::read_to_string(root.join(".dockerignore")).expect("it is there");
    let mut rules = text.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(rules.next(), Some("*"), "nothing is seen but what follows");
    for rule in rules {
        let seen = rule.strip_prefix('!').expect("each names what is seen");
        assert!(
            seen.starts_with("target/images/") || root.join(seen).exists(),
            "{seen} is not there"
        );
        assert!(
            !["discord-token", ".env", ".git"].contains(&seen),
            "{seen} is seen"
        );
    }
}

/// Fails with the names of all files that `wrong` holds for.
fn refuse(rule: &str, wrong: impl Fn(&Path, &str) -> bool) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let root = root
        .canonicalize()
        .expect("the workspace's folder is there");
    let mut files = Vec::new();
    for folder in ["bench", "clients", "fuzz", "gateway", "lib", "tests"] {
        rust_files(&root.join(folder), &mut files);
    }
    assert!(
        files.len() > 20,
        "only {} files found: is this the tree?",
        files.len()
    );
    let found: Vec<String> = files
        .iter()
        .map(|path| {
            path.strip_prefix(&root)
                .expect("all files are below the root")
        })
        .filter(|path| !path.components().any(|part| part.as_os_str() == "gen"))
        .filter(|path| {
            let source = fs::read_to_string(root.join(path)).expect("the file was just listed");
            wrong(path, &source)
        })
        .map(|path| path.display().to_string())
        .collect();
    assert!(found.is_empty(), "{rule}: {found:?}");
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
}
