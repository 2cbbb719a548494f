//! The websocket, and the stream that is compressed in it.

use super::{Common, inflate::Inflate};
use futures_util::{Sink as _, SinkExt as _, StreamExt as _, future::BoxFuture};
use std::{pin::Pin, sync::Arc, time::Duration};
use tokio::{net::TcpStream, time};
use tokio_websockets::{ClientBuilder, CloseCode, Error, MaybeTlsStream, Message, WebSocketStream};

/// How long it may take to connect, TLS and upgrade included.
const CONNECTING: Duration = Duration::from_secs(10);

/// The part of the URL that chooses version, encoding and compression.
const QUERY: &str = "/?v=10&encoding=json&compress=zstd-stream";

/// A websocket that is being opened; why it could not be, otherwise.
pub(super) type Opening = BoxFuture<'static, Result<Socket, String>>;

/// An open websocket.
pub(super) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    inflate: Inflate,
}

/// What came.
pub(super) enum Received {
    /// The connection is over: Discord's code, if it gave one, and what happened.
    Closed(Option<u16>, String),
    /// Something that is the websocket's own business.
    Other,
    /// A payload.
    Text,
}

/// Opens a websocket to one of Discord's gateway URLs.
pub(super) fn open(url: &str, common: Arc<Common>) -> Opening {
    let url = format!("{}{QUERY}", url.trim_end_matches('/'));
    Box::pin(async move {
        let builder = ClientBuilder::new()
            .uri(&url)
            .map_err(|error| error.to_string())?
            .connector(&common.tls);
        match time::timeout(CONNECTING, builder.connect()).await {
            Ok(Ok((stream, _))) => Ok(Socket {
                stream,
                inflate: Inflate::new(),
            }),
            Ok(Err(error)) => Err(boot::chain(&error)),
            Err(_) => Err(format!("no answer within {} s", CONNECTING.as_secs())),
        }
    })
}

impl Socket {
    /// Waits for what comes next; a payload is in `text` then. Cancel safe.
    pub(super) async fn next(&mut self, text: &mut String) -> Received {
        let message = match self.stream.next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) => return broken(&error),
            None => return Received::Closed(None, "the connection broke".to_owned()),
        };
        if message.is_binary() {
            return match self.inflate.message(message.as_payload(), text) {
                Ok(()) => Received::Text,
                Err(error) => {
                    let reason = format!("a payload could not be decompressed: {error}");
                    Received::Closed(None, reason)
                }
            };
        }
        if let Some(plain) = message.as_text() {
            text.clear();
            text.push_str(plain);
            return Received::Text;
        }
        match message.as_close() {
            Some((code, reason)) => closed(code, reason),
            None => Received::Other,
        }
    }

    /// Sends a payload, as soon as [`Self::next`] is waited for.
    pub(super) fn push(&mut self, text: String) {
        // It takes any number; that there are few is the budget's business.
        if let Err(error) = Pin::new(&mut self.stream).start_send(Message::text(text)) {
            tracing::debug!(%error, "the connection broke before a payload was sent");
        }
    }

    /// Closes, and waits until Discord has, too.
    pub(super) async fn close(mut self, code: u16, reason: &str) {
        let code = CloseCode::try_from(code).ok();
        // Discord may have closed it before.
        if let Err(error) = self.stream.send(Message::close(code, reason)).await {
            tracing::debug!(%error, "the connection was closed already");
        }
        while let Some(Ok(_)) = self.stream.next().await {}
    }
}

fn broken(error: &Error) -> Received {
    Received::Closed(None, format!("the connection broke: {error}"))
}

fn closed(code: CloseCode, reason: &str) -> Received {
    if code == CloseCode::NO_STATUS_RECEIVED {
        return Received::Closed(None, "closed without a code".to_owned());
    }
    let code = u16::from(code);
    let words = match reason {
        "" => format!("closed with code {code}"),
        reason => format!("closed with code {code}: {reason}"),
    };
    Received::Closed(Some(code), words)
}
