//! The socket: TCP, and TLS over it where the URL asks for it.

use std::{io, sync::Arc};

use rabbitmq::Place;
use tokio::{net::TcpStream, task};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring::default_provider, pki_types::ServerName},
};

use super::Socket;

/// Opens the socket.
pub(super) async fn connect(place: &Place) -> io::Result<Box<dyn Socket>> {
    let stream = TcpStream::connect((place.host(), place.port())).await?;
    // We put many frames into one write ourselves, and a single one must not wait.
    stream.set_nodelay(true)?;
    if !place.is_encrypted() {
        return Ok(Box::new(stream));
    }
    let name = ServerName::try_from(place.host().to_owned()).map_err(io::Error::other)?;
    let config = task::spawn_blocking(config).await??;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    Ok(Box::new(stream))
}

/// Trusts whom the machine trusts. Reads files.
fn config() -> io::Result<ClientConfig> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (trusted, _) = roots.add_parsable_certificates(found.certs);
    if trusted == 0 {
        let errors = found.errors.iter().map(ToString::to_string);
        return Err(io::Error::other(format!(
            "this machine trusts no certificate authority at all ({})",
            errors.collect::<Vec<_>>().join("; ")
        )));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
