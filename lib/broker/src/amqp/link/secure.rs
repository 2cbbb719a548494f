//! The socket: TCP, and TLS over it where the URL asks for it.

use std::io;

use rabbitmq::Place;
use tokio::{net::TcpStream, task};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

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
    let tls = place.tls().clone();
    let config = task::spawn_blocking(move || tls.config()).await??;
    let stream = TlsConnector::from(config).connect(name, stream).await?;
    Ok(Box::new(stream))
}
