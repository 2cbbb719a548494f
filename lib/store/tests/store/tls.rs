//! Redis over TLS.

use std::process::Command;

use store::{Error, Place};

use crate::{
    bench::{Bench, LONG, shard, take},
    server::{Server, free_port},
};

/// Where the second run finds the port: environment variables of tests are not for us to read.
const PORT: &str = "port";

/// The roots of the system are read once in a process: this test runs once more as a process that
/// trusts the certificate.
#[test]
fn tls_trusts_the_systems_roots() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    certificate::make(folder.path(), "server", "DNS:localhost").unwrap();
    let (port, certificate, key) = (free_port().to_string(), at("server.pem"), at("server.key"));
    let log = at("log");
    std::fs::write(at(PORT), &port).unwrap();
    let path = folder.path().to_owned();
    let server = Server::start_in(
        folder,
        &[
            "--tls-port",
            &port,
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &certificate,
            "--tls-auth-clients",
            "no",
            "--requirepass",
            "pw",
            "--logfile",
            &log,
        ],
    );
    for (trusted, test) in [(&certificate, "trusted"), (&log, "not_trusted")] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", &format!("tls::{test}")])
            .current_dir(&path)
            .env("SSL_CERT_FILE", trusted)
            .env_remove("SSL_CERT_DIR")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("test result: ok. 1 passed"), "{test}: {said}");
    }
    drop(server);
}

fn bench() -> Bench {
    let port = std::fs::read_to_string(PORT).unwrap();
    Bench::at(Place::Redis(
        format!("rediss://:pw@localhost:{port}").into(),
    ))
}

#[tokio::test]
#[ignore = "tls_trusts_the_systems_roots runs it"]
async fn trusted() {
    take(&bench().application(), shard(0), "a", LONG).await;
}

#[tokio::test]
#[ignore = "tls_trusts_the_systems_roots runs it"]
async fn not_trusted() {
    let error = bench().application().version().await.unwrap_err();
    assert!(matches!(error, Error::Away { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("pw@"), "{error:?}");
}
