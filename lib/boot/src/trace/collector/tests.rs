//! Calls over gRPC to a collector of our own. What goes over HTTP is in the tests of the whole.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Request, Response},
    routing::post,
};
use futures_util::stream;

use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
    },
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prost::Message as _;
use tokio::{net::TcpListener, task::JoinSet};

use super::{Collector, Protocol, Refused};

/// What a collector answers, and what it was asked.
#[derive(Clone, Default)]
struct Answer {
    status: u16,
    head: &'static [(&'static str, &'static str)],
    trailers: &'static [(&'static str, &'static str)],
    rejected: i64,
    asked: Arc<Mutex<Option<(HeaderMap, Bytes)>>>,
}

async fn answer(State(answer): State<Answer>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    *answer.asked.lock().unwrap() = Some((parts.headers, body));
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.head {
        response = response.header(*name, *value);
    }
    if answer.trailers.is_empty() {
        return response.body(Body::empty()).unwrap();
    }
    let message = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: answer.rejected,
            ..ExportTracePartialSuccess::default()
        }),
    };
    let message = message.encode_to_vec();
    let mut data = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
    data.extend(message);
    let trailers = answer.trailers.iter();
    let trailers = trailers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let frames = [
        Ok::<_, Infallible>(Frame::data(Bytes::from(data))),
        Ok(Frame::trailers(trailers.collect())),
    ];
    let body = StreamBody::new(stream::iter(frames));
    response.body(Body::new(body)).unwrap()
}

fn request() -> ExportTraceServiceRequest {
    let span = Span {
        name: "publish MESSAGE_CREATE".to_owned(),
        ..Span::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: vec![span],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

/// Sends the request to a collector that answers so.
async fn send(wanted: &Answer) -> Result<u64, Refused> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let path = Protocol::Grpc.path();
    let endpoint = format!("http://{}{path}", listener.local_addr().unwrap());
    let router = Router::new()
        .route(path, post(answer))
        .with_state(wanted.clone());
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, router).await.unwrap() });
    let headers = HeaderMap::from_iter([("api-key".parse().unwrap(), "geheim".parse().unwrap())]);
    let endpoint = endpoint.parse().unwrap();
    let collector = Collector::new(Protocol::Grpc, endpoint, headers).unwrap();
    collector.send(&request()).await
}

#[tokio::test]
async fn a_call_is_one_message_with_its_length_in_front() {
    let wanted = Answer {
        status: 200,
        trailers: &[("grpc-status", "0")],
        rejected: 2,
        ..Answer::default()
    };
    assert_eq!(send(&wanted).await.unwrap(), 2);
    let asked = wanted.asked.lock().unwrap();
    let (headers, body) = asked.as_ref().unwrap();
    assert_eq!(headers["content-type"], "application/grpc");
    assert_eq!(headers["te"], "trailers");
    assert_eq!(headers["api-key"], "geheim");
    let message = request().encode_to_vec();
    assert_eq!(body[..4], [0; 4]);
    assert_eq!(usize::from(body[4]), message.len());
    assert_eq!(body[5..], message);
}

#[tokio::test]
async fn what_may_be_sent_again_is_told_from_what_may_not() {
    const BUSY: &[(&str, &str)] = &[("grpc-status", "14"), ("grpc-message", "too much to do")];
    const WRONG: &[(&str, &str)] = &[("grpc-status", "3")];
    const FULL: &[(&str, &str)] = &[("grpc-status", "8")];
    const FULL_FOR_NOW: &[(&str, &str)] =
        &[("grpc-status", "8"), ("grpc-status-details-bin", "CAg")];
    // An error without a message has its status in the head, as there is no body; others have it behind.
    for (status, head, trailers, again, words) in [
        (
            200,
            BUSY,
            [].as_slice(),
            true,
            "gRPC status 14 too much to do",
        ),
        (200, &[], BUSY, true, "gRPC status 14 too much to do"),
        (200, WRONG, &[], false, "gRPC status 3"),
        (200, FULL, &[], false, "gRPC status 8"),
        (200, FULL_FOR_NOW, &[], true, "gRPC status 8"),
        (200, &[], &[], false, "without a gRPC status"),
        (503, &[], &[], true, "503"),
        (404, &[], &[], false, "404"),
    ] {
        let wanted = Answer {
            status,
            head,
            trailers,
            ..Answer::default()
        };
        let (is_later, reason) = match send(&wanted).await.unwrap_err() {
            Refused::Later(reason, _) => (true, reason),
            Refused::Never(reason) => (false, reason),
        };
        assert!(is_later == again && reason.contains(words), "{reason}");
    }
}
