//! Lines of a log as the content of one message: a code block within Discord's limit.

use std::{collections::VecDeque, fmt::Write as _};

/// The longest content of a message, counted as the strictest reader would: in UTF-16.
///
/// See [Discord Docs/Execute Webhook](https://docs.discord.com/developers/resources/webhook#execute-webhook).
const LONGEST: usize = 2_000;

const BEGIN: &str = "```\n";
const END: &str = "```";

/// Room for how many lines were dropped.
const NOTE: usize = 50;

/// The longest line: with all else it fits into one message.
const LONGEST_LINE: usize = LONGEST - BEGIN.len() - END.len() - NOTE - 1;

/// A log line that is no longer than a message, cannot end the code block, and is one line.
pub(super) fn line(text: &str) -> String {
    let text = text.trim_end().replace("```", "'''");
    let mut line = String::new();
    let mut length = 0;
    for char in text.chars() {
        let char = if char.is_control() { ' ' } else { char };
        length += char.len_utf16();
        if length >= LONGEST_LINE {
            line.push('…');
            break;
        }
        line.push(char);
    }
    line
}

/// Takes as many lines as fit, and tells how many. Before them stands how many others were
/// dropped.
pub(super) fn take(lines: &mut VecDeque<String>, dropped: u64) -> (String, u64) {
    let mut content = BEGIN.to_owned();
    if dropped > 0 {
        // Writing to a string cannot fail.
        writeln!(content, "… {dropped} lines dropped").ok();
    }
    let mut room = LONGEST - END.len() - units(&content);
    let mut count = 0;
    while let Some(line) = lines.pop_front_if(|line| units(line) < room) {
        room -= units(&line) + 1;
        content.push_str(&line);
        content.push('\n');
        count += 1;
    }
    content.push_str(END);
    (content, count)
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_share_a_message_in_order_and_within_the_limit() {
        let mut lines: VecDeque<String> = (0..100)
            .map(|n| line(&format!("{n} {}", "ä😀".repeat(30))))
            .collect();
        let mut seen = Vec::new();
        while !lines.is_empty() {
            let (content, count) = take(&mut lines, 7);
            assert!(count > 0);
            assert!(units(&content) <= LONGEST, "{}", units(&content));
            let inner = content
                .strip_prefix(BEGIN)
                .unwrap()
                .strip_suffix(END)
                .unwrap();
            let mut inner = inner.lines();
            assert_eq!(inner.next(), Some("… 7 lines dropped"));
            seen.extend(inner.map(|line| line.split(' ').next().unwrap().to_owned()));
        }
        let expected: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_longest_line_fits_beside_the_longest_note() {
        for letter in ["x", "ä", "😀"] {
            let mut lines = VecDeque::from([line(&letter.repeat(5_000))]);
            let (content, count) = take(&mut lines, u64::MAX);
            assert_eq!(count, 1);
            assert!(units(&content) <= LONGEST);
            assert!(content.ends_with("…\n```"), "{content}");
        }
    }

    #[test]
    fn a_line_cannot_leave_its_block() {
        assert_eq!(line("a ```b``` \u{1b}[1m\n"), "a '''b'''  [1m");
        assert_eq!(line("a\nb"), "a b");
    }
}
