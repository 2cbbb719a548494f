//! What `/metrics` says of requests over HTTP; `lib/outbound` has the rest.

#[cfg(test)]
mod tests;

use boot::{
    Metrics,
    metrics::{Counter, Family},
};

/// Requests over HTTP that Discord has not answered, by the code of what went wrong.
pub(crate) type HttpErrors = Family<[(&'static str, &'static str); 1], Counter>;

/// Registers them.
pub(crate) fn http_errors(metrics: &Metrics) -> HttpErrors {
    metrics.counters(
        "api_http_errors",
        "Requests over HTTP that were not answered by Discord, by the code of what went wrong",
    )
}
