//! The table that a run ends with: what was measured, and how much it may be.

use std::fmt;

/// What was measured, in the order in which it was.
#[derive(Debug)]
pub struct Summary {
    title: &'static str,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    what: &'static str,
    value: f64,
    limit: String,
    is_kept: bool,
}

impl Summary {
    /// An empty one.
    pub fn new(title: &'static str) -> Self {
        let lines = Vec::new();
        Self { title, lines }
    }

    /// A number that must not exceed a limit on an idle machine.
    pub fn at_most(&mut self, what: &'static str, value: f64, limit: f64) {
        self.line(what, value, format!("<= {limit}"), value <= limit);
    }

    /// A number that must reach a limit on an idle machine.
    pub fn at_least(&mut self, what: &'static str, value: f64, limit: f64) {
        self.line(what, value, format!(">= {limit}"), value >= limit);
    }

    /// A number without a limit.
    pub fn add(&mut self, what: &'static str, value: f64) {
        self.line(what, value, String::new(), true);
    }

    /// Whether all limits are kept.
    pub fn is_kept(&self) -> bool {
        self.lines.iter().all(|line| line.is_kept)
    }

    fn line(&mut self, what: &'static str, value: f64, limit: String, is_kept: bool) {
        self.lines.push(Line {
            what,
            value,
            limit,
            is_kept,
        });
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<44} {:>10} {:>10}",
            self.title, "measured", "is to be"
        )?;
        for Line {
            what,
            value,
            limit,
            is_kept,
        } in &self.lines
        {
            let value = format!("{value:.2}");
            let mark = if *is_kept { "" } else { "  !" };
            write!(f, "\n{what:<44} {value:>10} {limit:>10}{mark}")?;
        }
        Ok(())
    }
}
