//! The pages in `docs/reference` are what the `.proto` files say, and their links lead somewhere.

mod comments;
mod events;
mod index;
mod keys;
mod markdown;
mod objects;
mod pages;
mod services;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use comments::Comments;
use markdown::{anchors, links};

/// The text of each page, by its path below `docs/reference`.
type Pages = BTreeMap<PathBuf, String>;

#[test]
fn the_reference_is_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    let stale = replace(&folder, &reference()).unwrap();
    assert!(
        stale.is_empty(),
        "{stale:?} in docs/reference did not match the .proto files and are rewritten now: commit them"
    );
}

#[test]
fn every_link_leads_somewhere() {
    let pages = reference();
    let mut checked = 0;
    for (path, text) in &pages {
        for link in links(text).filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => path.clone(),
                file => pages::resolve(path, file),
            };
            let Some(text) = pages.get(&target) else {
                let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
                assert!(root.join(&target).exists(), "{path:?}: {link}");
                continue;
            };
            let known = anchor.is_empty() || anchors(text).any(|known| known == anchor);
            assert!(known, "{path:?}: {link}");
            checked += 1;
        }
    }
    assert!(checked > 500, "only {checked} links found");
}

#[test]
fn headings_are_unique() {
    for (path, text) in &reference() {
        let mut anchors: Vec<String> = anchors(text).collect();
        anchors.sort();
        let twice = anchors.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(twice, None, "{path:?}");
    }
}

#[test]
fn everything_has_its_place() {
    let pages = reference();
    let contract = wire::rest::descriptors();
    let messages = contract.all_messages().filter(|it| !it.is_map_entry());
    let messages = messages.map(|it| (it.parent_file(), it.name().to_owned()));
    let enums = contract
        .all_enums()
        .map(|it| (it.parent_file(), it.name().to_owned()));
    for (file, name) in messages.chain(enums) {
        if !file.package_name().starts_with("google.") {
            let page = &pages[Path::new(&pages::page_of(&file))];
            assert!(page.contains(&format!("\n## {name}\n")), "{name}");
        }
    }
    for kind in wire::event::events().into_iter().chain(wire::event::own()) {
        let heading = format!("\n### {}\n", kind.name);
        assert!(
            pages[Path::new("events.md")].contains(&heading),
            "{heading}"
        );
    }
}

/// All pages.
fn reference() -> Pages {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let comments = Comments::read(&proto).expect("the contract compiles");
    let mut pages = objects::pages(&comments);
    pages.insert("events.md".into(), events::page(&comments));
    pages.insert("services.md".into(), services::page(&comments));
    pages.insert("rest.md".into(), services::rest_page(&comments));
    pages.insert("README.md".into(), index::page());
    pages
}

/// Makes the files below `folder` the given ones. Returns the paths of those that differed.
fn replace(folder: &Path, pages: &Pages) -> Result<Vec<PathBuf>, io::Error> {
    let mut stale = Vec::new();
    for (path, text) in pages {
        let file = folder.join(path);
        if fs::read_to_string(&file).ok().as_ref() != Some(text) {
            fs::create_dir_all(file.parent().unwrap_or(folder))?;
            fs::write(&file, text)?;
            stale.push(path.clone());
        }
    }
    for file in files(folder)? {
        let path = file.strip_prefix(folder).unwrap_or(&file).to_owned();
        if !pages.contains_key(&path) {
            fs::remove_file(&file)?;
            stale.push(path);
        }
    }
    Ok(stale)
}

/// All files below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>, io::Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}
