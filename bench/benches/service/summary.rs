//! The table that a run ends with: what was measured, and how much it may be.

use std::fmt;

/// What was measured, in the order in which it was.
#[derive(Debug, Default)]
pub(crate) struct Summary(Vec<Line>);

#[derive(Debug)]
struct Line {
    what: &'static str,
    value: f64,
    limit: Option<f64>,
}

impl Summary {
    /// A number that must not exceed a limit on an idle machine.
    pub(crate) fn at_most(&mut self, what: &'static str, value: f64, limit: f64) {
        let limit = Some(limit);
        self.0.push(Line { what, value, limit });
    }

    /// A number without a limit.
    pub(crate) fn add(&mut self, what: &'static str, value: f64) {
        let limit = None;
        self.0.push(Line { what, value, limit });
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<44} {:>10} {:>10}",
            "gateway-ws", "measured", "at most"
        )?;
        for Line { what, value, limit } in &self.0 {
            let value = format!("{value:.2}");
            let limit = limit.map_or_else(String::new, |limit| limit.to_string());
            write!(f, "\n{what:<44} {value:>10} {limit:>10}")?;
        }
        Ok(())
    }
}
