//! Every promise of docs/promises.md has tests, and they are there.

use std::{fs, path::Path};

/// How many promises there are.
const PROMISES: usize = 7;

#[test]
fn every_promise_has_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(root.join("docs/promises.md")).expect("the page is there");
    let promises: Vec<&str> = page.split("\n## ").skip(1).collect();
    let mut missing = Vec::new();
    for (number, promise) in (1..).zip(&promises) {
        assert!(promise.starts_with(&format!("{number}. ")), "{promise}");
        let rows: Vec<[&str; 2]> = promise.lines().filter_map(row).collect();
        assert!(!rows.is_empty(), "a promise without a test: {promise}");
        for [file, test] in rows {
            let source = fs::read_to_string(root.join(file)).unwrap_or_default();
            if !has(&source, test) {
                missing.push(format!("{file}: {test}"));
            }
        }
    }
    assert_eq!(promises.len(), PROMISES);
    assert!(missing.is_empty(), "there are no such tests: {missing:#?}");
}

/// File and test in a row of a table, but for its head.
fn row(line: &str) -> Option<[&str; 2]> {
    let cells: Vec<&str> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
    let [_, file, test, ""] = cells[..] else {
        panic!("a row with other columns: {line}");
    };
    file.contains('/').then_some([file, test])
}

/// Whether a source has a test of this name: a function with the attribute, or a line of a macro that makes one.
fn has(source: &str, test: &str) -> bool {
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if line.starts_with("fn ") || line.starts_with("async fn ") {
            let name = line.trim_start_matches("async ").trim_start_matches("fn ");
            if is_test
                && name
                    .strip_prefix(test)
                    .is_some_and(|it| it.starts_with('('))
            {
                return true;
            }
            is_test = false;
        } else if line == test {
            return true;
        }
    }
    false
}
