//! A worker's requests are answered, or the worker learns why not.

use std::time::Duration;

use anyhow::{Result, ensure};
use discord_gateway_client::{
    CallError, Replies, Requests,
    wire::{
        discord::v1::SoundboardSounds,
        gateway::v1::{
            Code, Error, RequestSoundboardSoundsRequest, RequestSoundboardSoundsResponse,
            SendRequest, SendResponse, send_request::Connection,
        },
    },
};
use prost::Message as _;
use tests::rabbitmq::Rabbit;

use super::{WINDOW, within};
use crate::broker::service::Service;

const RESPONSE: &str = "gateway.v1.SendResponse";

fn request(shard_id: u32) -> SendRequest {
    SendRequest {
        connection: Some(Connection::ShardId(shard_id)),
        payload: "{}".to_owned(),
    }
}

/// Answers requests, each in its own way.
async fn serve(service: &Service) -> Result<()> {
    let mut requests = service.broker.requests("ws", 42);
    let first = within("the first request", requests.next()).await?;
    let asked = SendRequest::decode(first.call.body.clone())?;
    ensure!(asked == request(7) && first.call.routing_key == "ws.Send.42.target");
    ensure!(first.call.method == "gateway.v1.Ws/Send" && first.call.priority == 4);
    ensure!(
        first
            .call
            .timeout
            .is_some_and(|left| left <= Duration::from_secs(60))
    );
    let response = SendResponse { shard_id: 7 };
    first
        .reply(RESPONSE, response.encode_to_vec().into())
        .await?;

    let second = within("the second request", requests.next()).await?;
    let failure = Error {
        code: Code::NotFound.into(),
        message: "there is no shard 8".to_owned(),
        ..Error::default()
    };
    second.fail(&failure).await?;

    let third = within("the third request", requests.next()).await?;
    third.reply("gateway.v1.Unheard", vec![1].into()).await?;

    let fourth = within("the fourth request", requests.next()).await?;
    fourth.reply(RESPONSE, vec![0xff].into()).await?;

    // The fifth is answered when its caller waits no longer, if it comes at all.
    let mut late = Vec::new();
    loop {
        let request = within("the last request", requests.next()).await?;
        if SendRequest::decode(request.call.body.clone())? != self::request(9) {
            late.push(request);
            continue;
        }
        late.push(request);
        for request in late {
            let body = SendResponse { shard_id: 9 }.encode_to_vec();
            request.reply(RESPONSE, body.into()).await?;
        }
        return Ok(());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_answered_or_the_failure_is_told() -> Result<()> {
    let rabbit = Rabbit::shared();
    let service = Service::start(rabbit.url(), "calls", WINDOW);
    let requests = Requests::start(rabbit.url(), "calls")?;
    let call = |shard_id| {
        let call = requests.to(42).timeout(Duration::from_secs(60));
        async move { call.call::<_, SendResponse>(&request(shard_id)).await }
    };
    // Nobody has ever taken such requests.
    let nobody = call(1).await;
    ensure!(matches!(nobody, Err(CallError::NoService(_))), "{nobody:?}");

    let ask = async {
        service.ready().await?;
        let call_with_all = requests.to(42).target("target").priority(4);
        let answered = loop {
            let asking = call_with_all.clone().timeout(Duration::from_secs(60));
            match asking.call::<_, SendResponse>(&request(7)).await {
                // The service's queue is not there yet.
                Err(CallError::NoService(_)) => tokio::task::yield_now().await,
                answered => break answered?,
            }
        };
        ensure!(answered.shard_id == 7);
        let failed = call(8).await;
        let Err(CallError::Failed(failure)) = &failed else {
            anyhow::bail!("{failed:?}");
        };
        ensure!(failure.code() == Code::NotFound && failure.message == "there is no shard 8");
        for _ in 0..2 {
            let odd = call(1).await;
            ensure!(matches!(odd, Err(CallError::Answer(_))), "{odd:?}");
        }
        let late = requests.to(42).timeout(Duration::from_millis(100));
        let late = late.call::<_, SendResponse>(&request(1)).await;
        ensure!(late == Err(CallError::TimedOut), "{late:?}");
        let last = call(9).await?;
        ensure!(last.shard_id == 9);
        Ok(())
    };
    tokio::try_join!(serve(&service), ask)?;
    requests.close().await;
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_told_and_then_made_again() -> Result<()> {
    let mut rabbit = Rabbit::start()?;
    let service = Service::start(rabbit.url(), "broken", WINDOW);
    let requests = Requests::start(rabbit.url(), "broken")?;
    let patient = || requests.to(42).timeout(Duration::from_secs(60));
    let mut inbox = service.broker.requests("ws", 42);
    let listening = async {
        loop {
            // The queue is declared when somebody waits for requests.
            match patient().call::<_, SendResponse>(&request(1)).await {
                Err(CallError::NoService(_)) => tokio::task::yield_now().await,
                answered => break answered,
            }
        }
    };
    let broken = async {
        let taken = within("a request", inbox.next()).await?;
        rabbit.kill()?;
        drop(taken);
        Ok(())
    };
    let (answered, broken): (_, Result<()>) = tokio::join!(listening, broken);
    broken?;
    ensure!(answered == Err(CallError::Lost), "{answered:?}");

    rabbit.restart()?;
    let serve = async {
        loop {
            let taken = match within("a request", inbox.next()).await {
                Ok(taken) => taken,
                Err(error) => break error,
            };
            let response = SendResponse { shard_id: 5 };
            // Requests from before the crash may come again; nobody waits for those, which does not always show.
            let replying = taken.reply(RESPONSE, response.encode_to_vec().into());
            replying.await.ok();
        }
    };
    let ask = async {
        loop {
            match patient().call::<_, SendResponse>(&request(5)).await {
                Ok(response) => break Ok(response),
                Err(CallError::NoService(_) | CallError::Lost) => tokio::task::yield_now().await,
                Err(error) => break Err(anyhow::Error::from(error)),
            }
        }
    };
    let response = tokio::select! {
        error = serve => return Err(error),
        response = ask => response?,
    };
    ensure!(response.shard_id == 5);
    requests.close().await;
    drop(inbox);
    service.stop().await
}

/// The sounds of a guild.
fn sounds(guild_id: u64) -> RequestSoundboardSoundsResponse {
    RequestSoundboardSoundsResponse {
        sounds: Some(SoundboardSounds {
            guild_id: Some(guild_id),
            ..SoundboardSounds::default()
        }),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_comes_whole_and_in_order_or_ends_with_the_reason() -> Result<()> {
    const PARTS: &str = "gateway.v1.RequestSoundboardSoundsResponse";
    let rabbit = Rabbit::shared();
    let service = Service::start(rabbit.url(), "parts", WINDOW);
    let requests = Requests::start(rabbit.url(), "parts")?;
    let mut inbox = service.broker.requests("ws", 42);
    let serve = async {
        let mut first = within("the first request", inbox.next()).await?;
        for guild_id in 1..=2 {
            let body = sounds(guild_id).encode_to_vec();
            first.part(PARTS, body.into()).await?;
        }
        first.end(PARTS, sounds(3).encode_to_vec().into()).await?;
        let mut second = within("the second request", inbox.next()).await?;
        second.part(PARTS, sounds(1).encode_to_vec().into()).await?;
        Ok::<_, anyhow::Error>(second.fail(&Error::default()).await?)
    };
    let question = RequestSoundboardSoundsRequest {
        guild_ids: vec![1, 2, 3],
    };
    let ask = async {
        service.ready().await?;
        for whole in [true, false] {
            let call = requests.to(42).timeout(Duration::from_secs(60));
            let mut parts: Replies<RequestSoundboardSoundsResponse> =
                call.stream(&question).await?;
            let mut found = Vec::new();
            let mut failure = None;
            while let Some(part) = parts.next().await {
                match part {
                    Ok(part) => found.push(part),
                    Err(error) => failure = Some(error),
                }
            }
            if whole {
                ensure!(found == [sounds(1), sounds(2), sounds(3)], "{found:?}");
                ensure!(failure.is_none(), "{failure:?}");
            } else {
                ensure!(found == [sounds(1)], "{found:?}");
                ensure!(matches!(failure, Some(CallError::Failed(_))), "{failure:?}");
            }
        }
        Ok(())
    };
    tokio::try_join!(serve, ask)?;
    requests.close().await;
    drop(inbox);
    service.stop().await
}
