//! Callers that the system has connected, and nobody has looked at when the end comes.

use std::{net::SocketAddr, sync::Arc};

use boot::Context;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{Listener, Protocols};
use crate::{Answer, Config};

struct Hello;

impl Answer for Hello {
    async fn answer(&self, _: Request<Incoming>, _: SocketAddr) -> Response<Full<Bytes>> {
        Response::new(Full::from("hello"))
    }
}

#[tokio::test]
async fn who_was_connected_before_the_end_is_answered() {
    let context = Context::new();
    let config = Config {
        connections: 2,
        tls: None,
    };
    let here = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(here, &config, Protocols::Http1, &context);
    let listener = listener.await.unwrap();
    let mut callers = Vec::new();
    for _ in 0..3 {
        let mut caller = TcpStream::connect(listener.address()).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        caller.write_all(request).await.unwrap();
        callers.push(caller);
    }
    context.shutdown.cancel();
    listener.run(Arc::new(Hello)).await;
    for mut caller in callers {
        let mut answer = String::new();
        caller.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
        assert!(answer.ends_with("hello"), "{answer:?}");
    }
}
