//! Markdown as GitHub reads it.

use std::fmt::Write as _;

/// A table. Cells are Markdown in one line.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut table = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(N));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        // Writing to a string cannot fail.
        writeln!(table, "| {} |", cells.join(" | ")).unwrap_or_default();
    }
    table
}

/// Plain text with code in it, with nothing else in it that Markdown would take for itself.
pub(super) fn text(plain: &str) -> String {
    let mut escaped = String::with_capacity(plain.len());
    for (i, part) in plain.split('`').enumerate() {
        if i > 0 {
            escaped.push('`');
        }
        if i % 2 == 1 {
            escaped.push_str(part);
            continue;
        }
        for character in part.chars() {
            if matches!(character, '<' | '>' | '*' | '[' | ']') {
                escaped.push('\\');
            }
            escaped.push(character);
        }
    }
    escaped
}

pub(super) fn link(text: &str, target: &str) -> String {
    format!("[{text}]({target})")
}

/// The anchor that GitHub gives to a heading.
pub(super) fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The anchors of a page.
pub(super) fn anchors(page: &str) -> impl Iterator<Item = String> {
    page.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#').trim_start()))
}

/// The targets of a page's links.
pub(super) fn links(page: &str) -> impl Iterator<Item = &str> {
    page.split("](")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(')')?.0))
}

#[test]
fn text_stays_what_it_is() {
    assert_eq!(text("a <b> `<c>*` *d*"), "a \\<b\\> `<c>*` \\*d\\*");
    assert_eq!(
        table(["a", "b"], &[["x|y".to_owned(), String::new()]]),
        "| a | b |\n|---|---|\n| x\\|y |  |\n"
    );
    assert_eq!(anchor("What MESSAGE_CREATE, is"), "what-message_create-is");
    assert_eq!(
        links("[a](b.md#c) and [d](e)").collect::<Vec<_>>(),
        ["b.md#c", "e"]
    );
}
