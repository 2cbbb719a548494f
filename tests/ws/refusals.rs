//! What only a person can put right ends the process, with a message that says what to do.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::json;
use sim::Config;
use tests::service::{Ended, Service, gateway_ws};

use super::stage::Stage;

/// Lets Discord close with this code after Identify, and returns how the service ended.
async fn refused_with(code: u16) -> Result<Ended> {
    let stage = Stage::small().await?;
    stage
        .sim
        .change_faults(|faults| faults.refuse_identify_code = Some(code));
    let ended = stage.start()?.finish()?;
    ensure!(ended.status.code() == Some(1), "{}", ended.log);
    ensure!(
        stage.sim.state().connections == 1,
        "it tried again:\n{}",
        ended.log
    );
    Ok(ended)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_told_before_any_connection() -> Result<()> {
    let mut stage = Stage::small().await?;
    stage.set("DISCORD_TOKEN", "wrong.token.0123456789");
    let ended = stage.start()?.finish()?;
    ensure!(ended.status.code() == Some(1), "{}", ended.log);
    ensure!(ended.log.contains("DISCORD_TOKEN"), "{}", ended.log);
    ensure!(!ended.log.contains("wrong.token"), "{}", ended.log);
    ensure!(stage.sim.state().connections == 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_final_close_code_says_what_to_change() -> Result<()> {
    for (code, words) in [
        (4004, ["DISCORD_TOKEN", "Bot"]),
        (4010, ["DISCORD_SHARD_COUNT", "shard 0 of 1"]),
        (4011, ["DISCORD_SHARD_COUNT", "2,500"]),
        (4012, ["version", "newer"]),
        (4013, ["DISCORD_INTENTS", "53608447"]),
    ] {
        let ended = refused_with(code).await?;
        for word in words {
            ensure!(
                ended.log.contains(word),
                "{code}: {word} is missing in\n{}",
                ended.log
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn intents_that_are_not_allowed_are_named() -> Result<()> {
    let message_content = 1 << 15;
    let config = Config {
        allowed_intents: 53_608_447 & !message_content,
        ..Config::default()
    };
    let stage = Stage::new(config).await?;
    let ended = stage.start()?.finish()?;
    ensure!(ended.status.code() == Some(1), "{}", ended.log);
    ensure!(
        ended.log.contains("may not use MESSAGE_CONTENT;"),
        "{}",
        ended.log
    );
    ensure!(
        ended.log.contains("Privileged Gateway Intents"),
        "{}",
        ended.log
    );
    ensure!(stage.sim.state().connections == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_mistakes_of_the_configuration_are_told_at_once_with_status_64() -> Result<()> {
    let variables = [
        ("DISCORD_TOKEN", "Bot secret-0123456789"),
        ("DISCORD_INTENTS", "GUILDZ"),
        ("DISCORD_SHARD_COUNT", "many"),
        ("AMQP_URL", "http://localhost"),
        ("ADMIN_ADDRESS", "here"),
    ];
    let ended = Service::start(gateway_ws()?, &variables, &[])?.finish()?;
    ensure!(ended.status.code() == Some(64), "{}", ended.log);
    for (key, _) in variables {
        ensure!(
            ended.log.contains(key),
            "{key} is missing in\n{}",
            ended.log
        );
    }
    ensure!(!ended.log.contains("secret-0123456789"), "{}", ended.log);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_file_is_checked_and_unknown_keys_are_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("gateway.toml");
    let path = path.to_string_lossy().into_owned();
    std::fs::write(folder.path().join("token"), "a.token.0123456789\n")?;
    let token = folder.path().join("token");
    let good = format!(
        "discord_token_file = {:?}\ndiscord_intents = [\"GUILDS\", \"GUILD_MESSAGES\"]\n",
        token.to_string_lossy()
    );
    std::fs::write(&path, &good)?;
    let check = ["--config", &path, "--check"];
    let ended = Service::start(gateway_ws()?, &[], &check)?.finish()?;
    ensure!(ended.status.success(), "{}", ended.log);
    std::fs::write(&path, good + "discord_shard_cuont = 3\n")?;
    let ended = Service::start(gateway_ws()?, &[], &check)?.finish()?;
    ensure!(ended.status.code() == Some(64));
    ensure!(
        ended.log.contains("discord_shard_count"),
        "no suggestion in\n{}",
        ended.log
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_decides_how_many_shards_there_are_and_which_run_here() -> Result<()> {
    let mut stage = Stage::small().await?;
    stage.set("DISCORD_SHARD_COUNT", "4");
    stage.set("DISCORD_SHARD_IDS", "0-1");
    stage.sim.change_settings(
        json!({"shards": 9})
            .as_object()
            .unwrap_or(&serde_json::Map::new()),
    )?;
    let service = stage.start()?;
    let both = || {
        Ok(stage
            .sim
            .state()
            .sessions
            .iter()
            .filter(|one| one.connected)
            .count()
            == 2)
    };
    service
        .until("the two shards of this process", both)
        .await?;
    let sessions = stage.sim.state().sessions;
    let shards: BTreeSet<[u32; 2]> = sessions.iter().map(|one| one.shard).collect();
    ensure!(shards == BTreeSet::from([[0, 4], [1, 4]]));
    Ok(())
}
