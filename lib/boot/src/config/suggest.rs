//! "Did you mean": the known name that is nearest to a mistyped one.

/// The candidate that differs least from the name, if it is near enough to be a slip.
pub(super) fn nearest(name: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let allowed = (name.chars().count() / 3).max(1);
    candidates
        .map(|candidate| (distance(&name, &candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many slips lead from one to the other: a character more, less or replaced, or two
/// neighbours swapped (optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    // table[i][j]: from the first i characters of the one to the first j of the other.
    let mut table = vec![(0..=to.len()).collect::<Vec<_>>()];
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = table[i][j] + usize::from(a != b);
            let mut least = replaced.min(table[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                least = least.min(table[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        table.push(row);
    }
    table[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn distances() {
        assert_eq!(distance("amqp_url", "amqp_url"), 0);
        assert_eq!(distance("ampq_url", "amqp_url"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn only_slips_are_suggested() {
        let known = || {
            ["amqp_url", "log", "redis_url"]
                .map(str::to_owned)
                .into_iter()
        };
        assert_eq!(nearest("ampq_url", known()).as_deref(), Some("amqp_url"));
        assert_eq!(nearest("AMQP_URL", known()).as_deref(), Some("amqp_url"));
        assert_eq!(nearest("lgo", known()).as_deref(), Some("log"));
        assert_eq!(nearest("lag", known()).as_deref(), Some("log"));
        assert_eq!(nearest("colour", known()), None);
    }
}
