//! The broker's end of a connection, in tests that need no broker.

use amq_protocol::{
    frame::{AMQPFrame, WriteContext, gen_frame, parse_frame},
    protocol::AMQPClass,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

/// Says and takes what the test wants.
pub(super) struct Broker(pub(super) DuplexStream);

impl Broker {
    pub(super) async fn say(&mut self, channel: u16, method: AMQPClass) {
        let frame = AMQPFrame::Method(channel, method);
        let written = gen_frame(&frame)(WriteContext::from(Vec::new())).unwrap();
        self.0.write_all(&written.into_inner().0).await.unwrap();
    }

    /// The next frame.
    pub(super) async fn take(&mut self) -> AMQPFrame {
        let mut bytes = vec![0; 7];
        self.0.read_exact(&mut bytes).await.unwrap();
        let size = u32::from_be_bytes(bytes[3..7].try_into().unwrap()) as usize;
        bytes.resize(size + 8, 0);
        self.0.read_exact(&mut bytes[7..]).await.unwrap();
        parse_frame(&*bytes).unwrap().1
    }

    /// The next frame, which has to be a method.
    pub(super) async fn method(&mut self) -> AMQPClass {
        match self.take().await {
            AMQPFrame::Method(_, method) => method,
            other => panic!("{other:?}"),
        }
    }
}
