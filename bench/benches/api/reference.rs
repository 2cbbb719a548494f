//! What our process is measured against: a proxy of the same HTTP server and client, which passes requests on and does nothing else.

use anyhow::Result;
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// The argument that makes this program the reference.
pub(crate) const WORD: &str = "reference";

/// Runs until it is killed.
pub(crate) async fn run(address: &str, upstream: &str) -> Result<()> {
    let listener = TcpListener::bind(address).await?;
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .build(tcp);
    let base = format!("http://{upstream}");
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        while connections.try_join_next().is_some() {}
        let (client, base) = (client.clone(), base.clone());
        connections.spawn(async move {
            // A broken connection is the caller's business.
            serve(stream, client, &base).await.ok();
        });
    }
}

async fn serve(
    stream: TcpStream,
    client: Client<HttpConnector, Incoming>,
    base: &str,
) -> Result<()> {
    stream.set_nodelay(true)?;
    let service = service_fn(|mut request: Request<Incoming>| {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        let uri = format!("{base}{path}").parse();
        let client = &client;
        async move {
            *request.uri_mut() = uri?;
            anyhow::Ok(client.request(request).await?)
        }
    });
    let stream = TokioIo::new(stream);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(stream, service);
    Ok(connection.await?)
}
