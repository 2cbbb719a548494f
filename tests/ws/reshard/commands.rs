//! Workers go on asking while the number of shards changes, and never learn of it.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use discord_gateway_client::{CallError, Requests};
use sim::Sim;
use tests::rabbitmq::Rabbit;
use tokio::time::{self, Instant};
use wire::{
    discord::v1::UpdatePresence,
    gateway::v1::{
        Code, RequestGuildMembersRequest, RequestGuildMembersResponse, SendRequest, SendResponse,
        UpdatePresenceRequest, UpdatePresenceResponse, send_request::Connection,
    },
};

use super::scene::{DONE, PATIENCE, SWITCHING, Scene, Setup};

/// Between two requests, so that even two shards take them all within Discord's limits.
const PAUSE: Duration = Duration::from_millis(800);

/// The same for the first few while the sets change places, which is soon over.
const HASTE: (usize, Duration) = (30, Duration::from_millis(50));

/// After how many requests all shards are asked to show a presence.
const PRESENCES: usize = 20;

/// How far the change is, as far as the logs tell.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Phase {
    /// The first set publishes.
    Before,
    /// The second one is about to.
    Switching,
    /// It does.
    After,
}

fn phase(scene: &Scene) -> Phase {
    match (scene.has_said(SWITCHING), scene.has_said(DONE)) {
        (_, true) => Phase::After,
        (true, false) => Phase::Switching,
        (false, false) => Phase::Before,
    }
}

/// A worker that asks.
struct Asking {
    requests: Requests,
    application_id: u64,
    /// Guilds whose shards have other numbers in the second set.
    guilds: Vec<u64>,
    count: usize,
}

impl Asking {
    fn start(scene: &Scene) -> Result<Self> {
        let mut guilds = scene.sim.guild_ids();
        guilds.retain(|id| Sim::shard_of(*id, 4) != Sim::shard_of(*id, 2));
        Ok(Self {
            requests: Requests::start(Rabbit::shared().url(), scene.name)?,
            application_id: scene.sim.settings().application_id,
            guilds,
            count: 0,
        })
    }

    /// Asks for the next thing; how many shards the set has that did it.
    async fn ask(&mut self) -> Result<u32, CallError> {
        self.count += 1;
        let guild_id = self.guilds[self.count % self.guilds.len()];
        self.members(guild_id).await?;
        if self.count.is_multiple_of(PRESENCES) {
            let shown = self.presence().await?.shard_ids;
            return Ok(u32::try_from(shown.len()).unwrap_or_default());
        }
        let payload = format!(r#"{{"op":31,"d":{{"guild_ids":["{guild_id}"]}}}}"#);
        let connection = Some(Connection::GuildId(guild_id));
        let send = SendRequest {
            connection,
            payload,
        };
        let to = self.requests.to(self.application_id);
        let sent: SendResponse = to.call(&send).await?;
        let by = |count: &u32| Sim::shard_of(guild_id, *count) == sent.shard_id;
        Ok([2, 4].into_iter().find(by).unwrap_or_default())
    }

    async fn members(&self, guild_id: u64) -> Result<(), CallError> {
        let limit = u32::try_from(self.count % 9).unwrap_or_default() + 1;
        let members = RequestGuildMembersRequest {
            guild_id,
            limit,
            ..RequestGuildMembersRequest::default()
        };
        let to = self.requests.to(self.application_id);
        let mut chunks = to
            .stream::<_, RequestGuildMembersResponse>(&members)
            .await?;
        let chunk = chunks.next().await.unwrap_or(Err(CallError::Lost))?;
        let found = chunk.chunk.unwrap_or_default().members.len();
        match found == limit as usize && chunks.next().await.is_none() {
            true => Ok(()),
            false => Err(CallError::Answer(format!("{found} of {limit} members"))),
        }
    }

    async fn presence(&self) -> Result<UpdatePresenceResponse, CallError> {
        let request = UpdatePresenceRequest {
            presence: Some(UpdatePresence {
                status: Some("idle".to_owned()),
                ..UpdatePresence::default()
            }),
            shard_ids: Vec::new(),
        };
        self.requests.to(self.application_id).call(&request).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_reach_the_right_set_all_the_time() -> Result<()> {
    let mut scene = Setup::new("reshard-commands", 2, "auto").start().await?;
    let mut asking = Asking::start(&scene)?;
    let deadline = Instant::now() + PATIENCE;
    while asking.ask().await.is_err() {
        ensure!(
            Instant::now() < deadline,
            "requests do not reach the shards"
        );
        time::sleep(PAUSE).await;
    }
    scene.recommend_four()?;
    let (mut done, mut early) = ([0; 3], 0);
    while done[Phase::After as usize] < PRESENCES {
        scene.fleet.all_alive()?;
        ensure!(Instant::now() < deadline, "the change takes too long");
        let before = phase(&scene);
        let answer = asking.ask().await;
        let after = phase(&scene);
        match answer {
            Ok(2) if before <= Phase::Switching => {}
            Ok(4) if after >= Phase::Switching => early += u32::from(after == Phase::Switching),
            Ok(count) => bail!("a set of {count} did it: {before:?} {after:?}"),
            // A shard of either set that ends or begins says so at once.
            Err(CallError::Failed(why)) if why.code() == Code::Unavailable => {
                let is_time = before != Phase::After && after >= Phase::Switching;
                ensure!(is_time, "{before:?} {after:?}: {}", why.message);
            }
            Err(error) => bail!("{before:?} {after:?}: {error}"),
        }
        if before == after {
            done[before as usize] += 1;
        }
        let is_hasty = after == Phase::Switching && done[after as usize] < HASTE.0;
        time::sleep(if is_hasty { HASTE.1 } else { PAUSE }).await;
    }
    ensure!(
        early > 0,
        "the second set did nothing before the first had ended"
    );
    scene.finish(2, 6).await
}
