//! TLS, and certificates of callers.

use std::path::Path;

use reqwest::{Certificate, Client, Identity};

use super::Stage;

fn client(folder: &Path, caller: Option<&str>) -> Client {
    let read = |name: String| std::fs::read(folder.join(name)).unwrap();
    let root = Certificate::from_pem(&read("server.pem".to_owned())).unwrap();
    let mut client = Client::builder().no_proxy().tls_certs_only([root]);
    if let Some(name) = caller {
        let mut pem = read(format!("{name}.key"));
        pem.extend(read(format!("{name}.pem")));
        client = client.identity(Identity::from_pem(&pem).unwrap());
    }
    client.build().unwrap()
}

#[tokio::test]
async fn callers_are_known_by_their_certificates() {
    let folder = tempfile::tempdir().unwrap();
    // The listener's, a caller's, and one of a stranger.
    for name in ["server", "caller", "stranger"] {
        certificate::make(folder.path(), name, "IP:127.0.0.1").unwrap();
    }
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (certificate, key, ca) = (at("server.pem"), at("server.key"), at("caller.pem"));
    // Other machines may come, as none comes without a certificate.
    let variables = [
        ("HTTP_ADDRESS", "0.0.0.0:0"),
        ("HTTP_TLS_CERT", &certificate),
        ("HTTP_TLS_KEY", &key),
        ("HTTP_TLS_CLIENT_CA", &ca),
    ];
    let stage = Stage::new(&variables).await;
    let url = format!(
        "https://127.0.0.1:{}/api/v10/users/@me",
        stage.address.port()
    );
    for (caller, served) in [
        (Some("caller"), true),
        (Some("stranger"), false),
        (None, false),
    ] {
        let answer = client(folder.path(), caller).get(&url).send().await;
        let status = answer.map(|answer| answer.status().as_u16()).ok();
        assert_eq!(status, served.then_some(200), "{caller:?}");
    }
    let plain = url.replace("https", "http");
    assert!(Client::new().get(plain).send().await.is_err());
    assert_eq!(stage.sim.requests().len(), 1);
}
