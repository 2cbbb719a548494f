//! The inputs to begin with: those in `corpus`, and the golden files of the contract's tests.

use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use crate::targets::Target;

/// An input, and what it is called.
#[derive(Clone, Debug)]
pub struct Seed {
    /// Its name, which is that of a file.
    pub name: String,
    /// The input.
    pub input: Vec<u8>,
}

/// The inputs of a target, in the order of their names.
///
/// # Errors
///
/// If they cannot be read.
pub fn seeds(target: &Target) -> Result<Vec<Seed>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds = Vec::new();
    for file in files(&here.join("corpus").join(target.name))? {
        let (name, input) = (name(&file), std::fs::read(&file)?);
        seeds.push(Seed { name, input });
    }
    for file in files(&here.join("../tests/golden"))? {
        let name = name(&file);
        if let Some(input) = golden(target, &name, &file)? {
            seeds.push(Seed { name, input });
        }
    }
    Ok(seeds)
}

/// What a golden file is to a target: `NAME.json` or `NAME.variant.json` is an event's payload, and
/// `….binpb` is what travels for it.
fn golden(target: &Target, name: &str, file: &Path) -> Result<Option<Vec<u8>>> {
    let event = name.split('.').next().unwrap_or_default();
    let (is_json, is_message) = (name.ends_with(".json"), name.ends_with(".binpb"));
    let before = match target.name {
        "frame" if is_json => format!("{{\"t\":\"{event}\",\"s\":1,\"op\":0,\"d\":"),
        "parse" if is_json => format!("{event}\n"),
        "render" if is_message => "gateway.v1.Event\n".to_owned(),
        "routing" if is_json && event == "INTERACTION_CREATE" => format!("{event}\n"),
        _ => return Ok(None),
    };
    let behind: &[u8] = if target.name == "frame" { b"}" } else { b"" };
    let content = std::fs::read(file)?;
    Ok(Some([before.as_bytes(), &content, behind].concat()))
}

/// The files in a folder, sorted.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let told = |error: Error| {
        let folder = folder.display();
        Error::new(ErrorKind::NotFound, format!("{folder}: {error}"))
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(told)? {
        files.push(entry?.path());
    }
    files.sort();
    Ok(files)
}

fn name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
