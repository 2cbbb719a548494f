//! The exchanges of the contract, which a worker may be the first to need.

use lapin::{Channel, ExchangeKind, options::ExchangeDeclareOptions, types::FieldTable};
use rabbitmq::{Connection, Down, Stage, answer};

/// Declares an exchange; for a user that may not, it is enough that it is there.
pub(crate) async fn declare_exchange(connection: &Connection, name: &str) -> Result<(), Down> {
    let declare = async |passive| {
        let channel = channel(connection).await?;
        let options = ExchangeDeclareOptions {
            durable: true,
            passive,
            ..Default::default()
        };
        let arguments = FieldTable::default();
        let declaring =
            channel.exchange_declare(name.into(), ExchangeKind::Topic, options, arguments);
        answer("declaring an exchange", Stage::Declare, declaring).await?;
        close(channel).await
    };
    match declare(false).await {
        Err(Down::Forbidden(text)) => match declare(true).await {
            // What is missing is the right, rather than the exchange.
            Err(Down::Topology(_)) => Err(Down::Forbidden(text)),
            result => result,
        },
        result => result,
    }
}

/// Opens a channel.
pub(crate) async fn channel(connection: &Connection) -> Result<Channel, Down> {
    connection.channels().open().await
}

/// Closes a channel that has done its work.
pub(crate) async fn close(channel: Channel) -> Result<(), Down> {
    let closing = channel.close(200, "done".into());
    answer("closing a channel", Stage::Declare, closing).await
}
