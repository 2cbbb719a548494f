//! What our process is measured against: reads, decompresses, and publishes the raw JSON through the
//! AMQP client, with confirms and many messages under way. It does nothing else.

use std::collections::VecDeque;

use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;
use lapin::{
    BasicProperties, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use twilight_gateway::{ConfigBuilder, Intents, Message, Shard, ShardId};

use crate::sink::EXCHANGE;

/// The argument that makes this program the reference.
pub(crate) const WORD: &str = "reference";

/// How many messages may be unconfirmed.
const UNCONFIRMED: usize = 2_000;

/// Runs until it is killed.
pub(crate) async fn run(amqp: &str, gateway: &str) -> Result<()> {
    // It fails when there is a default already.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let connection = Connection::connect(amqp, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let config = ConfigBuilder::new("sim.token".to_owned(), Intents::all())
        .proxy_url(gateway.to_owned())
        .build();
    let mut shard = Shard::with_config(ShardId::new(0, 1), config);
    let mut confirms = VecDeque::new();
    loop {
        let message = shard.next().await.context("the gateway is gone")??;
        let Message::Text(text) = message else {
            continue;
        };
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2);
        let publishing = channel.basic_publish(
            EXCHANGE.into(),
            "reference".into(),
            BasicPublishOptions::default(),
            text.as_bytes(),
            properties,
        );
        confirms.push_back(publishing.await?);
        if confirms.len() > UNCONFIRMED
            && let Some(oldest) = confirms.pop_front()
        {
            oldest.await?;
        }
    }
}
