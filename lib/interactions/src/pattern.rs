//! Which interactions are meant, by the end of their routing key.

use boot::{Parse, config::Invalid};

/// Patterns as RabbitMQ has them for bindings: `*` is one word, and `#` any number of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Patterns(Vec<String>);

impl Patterns {
    /// Whether one of them is for this, such as `command.config.set`.
    pub fn fit(&self, words: &str) -> bool {
        let words: Vec<&str> = words.split('.').collect();
        let is_fit = |pattern: &String| {
            let pattern: Vec<&str> = pattern.split('.').collect();
            fits(&pattern, &words)
        };
        self.0.iter().any(is_fit)
    }
}

fn fits(pattern: &[&str], words: &[&str]) -> bool {
    match (pattern, words) {
        ([], []) => true,
        (["#", rest @ ..], _) => (0..=words.len()).any(|skipped| fits(rest, &words[skipped..])),
        ([first, rest @ ..], [word, words @ ..]) => {
            (*first == "*" || first == word) && fits(rest, words)
        }
        _ => false,
    }
}

/// How many words a pattern may have; more than an interaction has are of no use.
const WORDS: usize = 8;

impl Parse for Patterns {
    fn expected() -> String {
        "patterns such as command.config.# or modal.report, with commas between them".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let items: Vec<_> = text.split(',').map(|item| item.trim().to_owned()).collect();
        Self::parse_list(&items)
    }

    fn parse_list(items: &[String]) -> Result<Self, Invalid> {
        let is_pattern = |item: &String| {
            let words = item.split('.').count();
            words <= WORDS && item.split('.').all(|word| !word.is_empty())
        };
        match items.iter().all(is_pattern) {
            true => Ok(Self(items.to_vec())),
            false => Err(Invalid::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use boot::Parse as _;

    use super::Patterns;

    #[test]
    fn a_pattern_is_that_of_a_binding() {
        for (pattern, words, is_fit) in [
            ("command.play", "command.play", true),
            ("command.play", "command.play.now", false),
            ("command.*", "command.play", true),
            ("command.*", "command", false),
            ("command.#", "command", true),
            ("command.config.#", "command.config.set.all", true),
            ("#", "modal.report", true),
            ("#.set", "command.config.set", true),
            ("#.set", "command.config.get", false),
            ("modal.report, component.vote", "component.vote", true),
            ("modal.report, component.vote", "component.report", false),
        ] {
            let patterns = Patterns::parse(pattern).unwrap();
            assert_eq!(patterns.fit(words), is_fit, "{pattern} {words}");
        }
        assert!(!Patterns::default().fit("command.play"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "a..b", ".a", "a.", "a,,b", "a.b.c.d.e.f.g.h.i"] {
            assert!(Patterns::parse(text).is_err(), "{text}");
        }
    }
}
