//! Files read from a small server of the test's own.

use std::net::IpAddr;

use axum::{
    Router,
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use tokio::{net::TcpListener, task::JoinSet};

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

/// A server on this machine; where it is.
async fn server() -> (JoinSet<()>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let png = || async { ([(CONTENT_TYPE, "image/png; q=1")], "picture") };
    let endless = || async {
        let pieces =
            futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![0_u8; 1024]));
        axum::body::Body::from_stream(pieces)
    };
    let away = || async { Redirect::temporary("http://127.0.0.2:9/").into_response() };
    let nowhere = || async { Response::builder().status(302).body(String::new()).unwrap() };
    let router = Router::new()
        .route("/a/caf%C3%A9.png", get(png))
        .route(
            "/moved",
            get(|| async { Redirect::permanent("a/caf%C3%A9.png") }),
        )
        .route("/circle", get(|| async { Redirect::temporary("/circle") }))
        .route("/away", get(away))
        .route("/nowhere", get(nowhere))
        .route("/endless", get(endless))
        .route("/gone", get(|| async { StatusCode::GONE }))
        .route("/hangs", get(std::future::pending::<()>));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (tasks, base)
}

fn files(places: Places) -> Files {
    patient(places, PATIENCE)
}

fn patient(places: Places, patience: Duration) -> Files {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    Files::new(places, patience).unwrap()
}

async fn read(files: &Files, url: String) -> Result<File, FileError> {
    files.read(&url, 100_000, Instant::now() + PATIENCE).await
}

#[tokio::test]
async fn a_file_is_read_with_its_name_and_type_also_from_where_it_was_moved() {
    let (_server, base) = server().await;
    let files = files(Places::Any);
    for path in ["/a/caf%C3%A9.png?size=5", "/moved"] {
        let file = read(&files, format!("{base}{path}")).await.unwrap();
        assert_eq!(file.filename, "café.png");
        assert_eq!(file.content_type, "image/png");
        assert_eq!(file.data, "picture");
    }
}

#[tokio::test]
async fn what_cannot_be_read_says_why() {
    let (_server, base) = server().await;
    let files = files(Places::Any);
    for (path, error) in [
        ("/circle", FileError::Redirects),
        ("/endless", FileError::Long(100_000)),
        ("/gone", FileError::Status(410)),
        ("/nowhere", FileError::Status(302)),
    ] {
        assert_eq!(
            read(&files, format!("{base}{path}")).await.unwrap_err(),
            error,
            "{path}"
        );
    }
    let unheard = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = unheard.local_addr().unwrap();
    drop(unheard);
    let error = read(&files, format!("http://{address}/secret"))
        .await
        .unwrap_err();
    assert_eq!(error, FileError::Unreachable);
    assert!(!error.to_string().contains("secret"));
}

#[tokio::test]
async fn all_files_of_a_request_together_have_a_bound() {
    let (_server, base) = server().await;
    let files = files(Places::Any);
    let part = |data: &str, url: &str| Part {
        name: "files[0]".to_owned(),
        filename: String::new(),
        content_type: String::new(),
        data: data.into(),
        url: url.to_owned(),
    };
    // Seven bytes.
    let picture = format!("{base}/moved");
    let two = [part("", &picture), part("", &picture)];
    let inline = [part("12345", ""), part("", &picture)];
    for (parts, bytes) in [(two, 14), (inline, 12)] {
        let deadline = Instant::now() + PATIENCE;
        let fill = async |most| files.fill(&mut parts.clone(), most, deadline).await;
        fill(bytes).await.unwrap();
        let failure = fill(bytes - 1).await.unwrap_err();
        let long = FileError::Long(bytes - 1);
        assert!(
            matches!(&failure, Failure::File { error, .. } if *error == long),
            "{failure}"
        );
    }
}

#[tokio::test]
async fn nobody_waits_for_a_server_without_end() {
    let (_server, base) = server().await;
    let url = format!("{base}/hangs");
    let soon = Duration::from_millis(50);
    let impatient = patient(Places::Any, soon);
    let error = read(&impatient, url.clone()).await.unwrap_err();
    assert_eq!(error, FileError::Late);
    let error = files(Places::Any)
        .read(&url, 9, Instant::now() + soon)
        .await;
    assert_eq!(error.unwrap_err(), FileError::Late);
}

#[tokio::test]
async fn a_private_network_is_out_of_reach_by_number_by_name_and_by_redirect() {
    let (_server, base) = server().await;
    let public = files(Places::Public);
    let port = base.rsplit(':').next().unwrap();
    for host in ["127.0.0.1", "localhost", "[::1]", "2130706433"] {
        let url = format!("http://{host}:{port}/gone");
        assert_eq!(
            read(&public, url).await.unwrap_err(),
            FileError::Private,
            "{host}"
        );
    }
    let one: IpAddr = "127.0.0.1".parse().unwrap();
    assert!(!Places::Public.has(one));
    // As if that one were a public address.
    let only = files(Places::Only(one));
    assert_eq!(
        read(&only, format!("{base}/gone")).await.unwrap_err(),
        FileError::Status(410)
    );
    assert_eq!(
        read(&only, format!("{base}/away")).await.unwrap_err(),
        FileError::Private
    );
}
