//! The contract has what Discord's HTTP API has: its operations, its objects, their members, its
//! enums.

mod compare;
mod mapping;
mod operations;
mod surface;

use std::{collections::BTreeSet, fs, path::Path};

use compare::compare;
use mapping::{Mapping, Rule};
use surface::Surface;

#[test]
fn nothing_of_discords_is_missing() {
    let surface = Surface::parse(&read("surface.txt"));
    assert!(
        surface.objects.len() > 450 && surface.enums.len() > 80,
        "the table has only {} objects and {} enums",
        surface.objects.len(),
        surface.enums.len()
    );
    assert_eq!(surface.operations.len(), 242);
    let contract = wire::rest::descriptors();
    let mapping = Mapping::parse(&read("mapping.txt"), contract);
    let mut found = compare(&surface, &mapping, contract);
    found.extend(operations::differences(&surface, &mapping, contract));
    let known = Rule::parse_all(&read("gaps.txt"));
    let unknown: Vec<String> = found
        .iter()
        .filter(|(place, _)| !known.iter().any(|gap| gap.schema.matches(place)))
        .map(|(place, why)| format!("{place}: {why}"))
        .collect();
    let stale: Vec<String> = known
        .iter()
        .filter(|gap| !found.keys().any(|place| gap.schema.matches(place)))
        .map(ToString::to_string)
        .collect();
    assert!(
        unknown.is_empty() && stale.is_empty(),
        "not in proto/ (add it, or give the reason in tests/discord/gaps.txt):\n{}\n\
         no gaps any more (to be removed from tests/discord/gaps.txt):\n{}",
        unknown.join("\n"),
        stale.join("\n")
    );
}

#[test]
fn every_line_of_the_mapping_says_something() {
    let surface = Surface::parse(&read("surface.txt"));
    let mapping = Mapping::parse(&read("mapping.txt"), wire::rest::descriptors());
    let schemas = surface.schemas();
    let used: BTreeSet<usize> = schemas
        .iter()
        .filter_map(|schema| mapping.line(schema, surface.is_body(schema)))
        .collect();
    let unused: Vec<String> = (0..mapping.rules.len())
        .filter(|line| !used.contains(line))
        .map(|line| mapping.rules[line].to_string())
        .collect();
    assert!(
        unused.is_empty(),
        "to be removed from tests/discord/mapping.txt:\n{}",
        unused.join("\n")
    );
}

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("discord")
        .join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
