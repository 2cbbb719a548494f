//! The query of the gateway URL: version, encoding and compression.

use crate::{
    compress::Transport,
    violations::{Breach, Kind},
};

/// What the client chose; a resume must choose the same.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Query {
    pub(crate) version: Option<u32>,
    pub(crate) transport: Transport,
    etf: bool,
}

/// The versions that are served.
const VERSIONS: [u32; 2] = [9, 10];

impl Query {
    /// Reads `v=10&encoding=json&compress=zstd-stream`.
    pub(crate) fn parse(query: &str, breaches: &mut Vec<Breach>) -> Self {
        let mut parsed = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("v", version) => parsed.version = version.parse().ok(),
                ("encoding", "json") => {}
                ("encoding", "etf") => parsed.etf = true,
                ("compress", "zlib-stream") => parsed.transport = Transport::Zlib,
                ("compress", "zstd-stream") => parsed.transport = Transport::Zstd,
                _ => breaches.push(Breach::new(
                    Kind::ConnectionQuery,
                    format!("the gateway knows no query parameter {pair:?}"),
                )),
            }
        }
        if parsed.version.is_none() {
            let text = "the query of the gateway URL names no version";
            breaches.push(Breach::new(Kind::ConnectionQuery, text));
        }
        parsed
    }

    /// The close code for what is not served.
    pub(crate) fn refusal(&self) -> Option<(u16, &'static str)> {
        if !self
            .version
            .is_some_and(|version| VERSIONS.contains(&version))
        {
            Some((4012, "Invalid API version."))
        } else if self.etf {
            Some((4002, "The simulator speaks JSON only."))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Query, Transport};

    #[test]
    fn queries_are_read() {
        let mut breaches = Vec::new();
        let query = Query::parse("v=10&encoding=json&compress=zstd-stream", &mut breaches);
        assert_eq!(
            (query.version, query.transport),
            (Some(10), Transport::Zstd)
        );
        assert_eq!(query.refusal(), None);
        assert!(breaches.is_empty());
    }

    #[test]
    fn odd_queries_are_noted() {
        for (query, code) in [("", 4012), ("v=6", 4012), ("v=10&encoding=etf", 4002)] {
            let refusal = Query::parse(query, &mut Vec::new()).refusal();
            assert_eq!(refusal.map(|(code, _)| code), Some(code), "{query}");
        }
        let mut breaches = Vec::new();
        assert_eq!(
            Query::parse("v=10&compress=gzip", &mut breaches).refusal(),
            None
        );
        assert_eq!(breaches.len(), 1);
    }
}
