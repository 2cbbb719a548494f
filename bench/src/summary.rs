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
}

impl Summary {
    /// An empty one.
    pub fn new(title: &'static str) -> Self {
        let lines = Vec::new();
        Self { title, lines }
    }

    /// A number that must not exceed a limit on an idle machine.
    pub fn at_most(&mut self, what: &'static str, value: f64, limit: f64) {
        self.line(what, value, format!("<= {limit}"));
    }

    /// A number that must reach a limit on an idle machine.
    pub fn at_least(&mut self, what: &'static str, value: f64, limit: f64) {
        self.line(what, value, format!(">= {limit}"));
    }

    /// A number without a limit.
    pub fn add(&mut self, what: &'static str, value: f64) {
        self.line(what, value, String::new());
    }

    fn line(&mut self, what: &'static str, value: f64, limit: String) {
        self.lines.push(Line { what, value, limit });
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<44} {:>10} {:>10}",
            self.title, "measured", "is to be"
        )?;
        for Line { what, value, limit } in &self.lines {
            let value = format!("{value:.2}");
            write!(f, "\n{what:<44} {value:>10} {limit:>10}")?;
        }
        Ok(())
    }
}
