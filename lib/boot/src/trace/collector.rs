//! One request to the collector, by the protocol that the operator has chosen: OTLP over HTTP with protobuf, or over
//! gRPC, of which a call without a stream is all that is needed.
//!
//! See [OTLP](https://opentelemetry.io/docs/specs/otlp/) and [gRPC over
//! HTTP2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).

use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use reqwest::{
    Body, Client, Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE},
};

use crate::{
    error::chain,
    post::{self, retry_after},
};

/// The longest answer that is read.
const ANSWER: usize = 64 * 1024;

/// How much is told of what the collector says.
const WORDS: usize = 200;

/// What stands before a message of gRPC: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// The statuses of gRPC after which OTLP lets a request be sent again: cancelled, deadline exceeded, aborted, out of
/// range, unavailable and data loss.
const PASSING: [u16; 6] = [1, 4, 10, 11, 14, 15];

/// How a collector is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Grpc,
    HttpProtobuf,
}

impl Protocol {
    /// Where traces are taken, behind the base of a collector.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Grpc => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::HttpProtobuf => "/v1/traces",
        }
    }
}

/// Where spans go.
pub(super) struct Collector {
    client: Client,
    url: Url,
    protocol: Protocol,
}

/// Why spans were not taken.
#[derive(Debug)]
pub(super) enum Refused {
    /// They may be sent again, after a while that the collector may name.
    Later(String, Option<Duration>),
    /// They would never be taken.
    Never(String),
}

impl Collector {
    pub(super) fn new(
        protocol: Protocol,
        url: Url,
        headers: HeaderMap,
    ) -> Result<Self, reqwest::Error> {
        let client = post::client(headers);
        let client = match protocol {
            Protocol::Grpc => client.http2_prior_knowledge(),
            Protocol::HttpProtobuf => client,
        };
        Ok(Self {
            client: client.build()?,
            url,
            protocol,
        })
    }

    /// Sends one request; says how many spans the collector rejected.
    pub(super) async fn send(&self, request: &ExportTraceServiceRequest) -> Result<u64, Refused> {
        let (kind, body) = match self.protocol {
            Protocol::Grpc => ("application/grpc", framed(request)),
            Protocol::HttpProtobuf => ("application/x-protobuf", request.encode_to_vec()),
        };
        let mut post = self.client.post(self.url.clone());
        if self.protocol == Protocol::Grpc {
            post = post.header(TE, HeaderValue::from_static("trailers"));
        }
        let sent = post.header(CONTENT_TYPE, kind).body(body).send().await;
        // The URL may hold a password.
        let sent = sent.map_err(reqwest::Error::without_url);
        let response = sent.map_err(|error| Refused::Later(chain(&error), None))?;
        let status = response.status();
        match (status, self.protocol) {
            (StatusCode::OK, Protocol::Grpc) => called(response).await,
            (_, Protocol::HttpProtobuf) if status.is_success() => Ok(posted(response).await),
            (
                StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT,
                _,
            ) => {
                let wait = retry_after(response.headers());
                Err(Refused::Later(format!("it answers {status}"), wait))
            }
            _ => Err(Refused::Never(format!("it answers {status}"))),
        }
    }
}

/// A message as gRPC has it.
fn framed(message: &ExportTraceServiceRequest) -> Vec<u8> {
    let length = u32::try_from(message.encoded_len()).unwrap_or(u32::MAX);
    let mut body = vec![0];
    body.extend_from_slice(&length.to_be_bytes());
    body.extend_from_slice(&message.encode_to_vec());
    body
}

/// What came of a call that was answered: its status stands behind the body, or alone in the head.
async fn called(response: Response) -> Result<u64, Refused> {
    let (head, body) = http::Response::<Body>::from(response).into_parts();
    let body = Limited::new(body, ANSWER).collect().await;
    let body =
        body.map_err(|error| Refused::Later(format!("its answer broke off: {error}"), None))?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    let said = |name: &'static str| {
        let name = HeaderName::from_static(name);
        let value = trailers.get(&name).or_else(|| head.headers.get(&name))?;
        Some(value.to_str().ok()?.to_owned())
    };
    let status = said("grpc-status").and_then(|status| status.parse().ok());
    let because = |what: String| {
        let words: String = said("grpc-message").unwrap_or_default();
        let words: String = words.chars().take(WORDS).collect();
        format!("it answers {what} {words}").trim_end().to_owned()
    };
    match status {
        Some(0) => Ok(rejected(body.to_bytes().get(PREFIX..).unwrap_or_default())),
        // Resources that are exhausted come back only when it says when.
        Some(8) if said("grpc-status-details-bin").is_none() => {
            Err(Refused::Never(because("gRPC status 8".to_owned())))
        }
        Some(status) if status == 8 || PASSING.contains(&status) => Err(Refused::Later(
            because(format!("gRPC status {status}")),
            None,
        )),
        Some(status) => Err(Refused::Never(because(format!("gRPC status {status}")))),
        None => Err(Refused::Never(because("without a gRPC status".to_owned()))),
    }
}

/// What came of a request that was answered well.
async fn posted(response: Response) -> u64 {
    let body = post::body(response, ANSWER).await;
    rejected(&body.unwrap_or_default())
}

/// How many spans a collector that said yes has rejected all the same.
fn rejected(body: &[u8]) -> u64 {
    let answer = ExportTraceServiceResponse::decode(body).ok();
    let partial = answer.and_then(|answer| answer.partial_success);
    partial.map_or(0, |partial| {
        u64::try_from(partial.rejected_spans).unwrap_or(0)
    })
}

#[cfg(test)]
mod tests;
