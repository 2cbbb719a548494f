//! A disk that takes no more, while the broker is away.

use std::process::Command;

use anyhow::{Result, ensure};
use sim::{Config, EmitRequest};
use tests::{rabbitmq::Rabbit, service::Service};

use super::system::{stage, start_bound, take_everything};

/// No file grows beyond half a megabyte, which an operator can change as he can add a disk: without the signal that
/// would end the process it is an error of the write, as with a disk that is full.
const SMALL_DISK: &str = "trap '' XFSZ; ulimit -S -f 1024";

/// Lets files grow again.
fn add_disk(service: &Service) -> Result<()> {
    let status = Command::new("prlimit")
        .args(["--pid", &service.id().to_string(), "--fsize=unlimited"])
        .status()?;
    ensure!(status.success(), "prlimit ended with {status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_the_connection_and_no_event() -> Result<()> {
    let (mut rabbit, folder) = (Rabbit::start()?, tempfile::tempdir()?);
    let config = Config {
        guilds: 6,
        ..Config::default()
    };
    let mut stage = stage(&rabbit, config, "full").await?;
    stage.set("WS_SPOOL_DIR", &folder.path().to_string_lossy());
    stage.set("AMQP_WINDOW", "2MiB");
    stage.set("WS_STALL_TIMEOUT", "1s");
    stage.prepare(SMALL_DISK);
    let service = start_bound(&stage, &rabbit, "full").await?;
    stage.sim.start_emission(EmitRequest {
        rate: Some(1_000.0),
        ..EmitRequest::default()
    })?;
    rabbit.stop()?;
    for (what, words) in [
        ("the full disk", "the spool takes no messages"),
        ("the full window", "the broker takes no events"),
    ] {
        let said = || Ok(service.log().contains(words));
        service.until(what, said).await?;
    }
    add_disk(&service)?;
    let again = || Ok(service.log().contains("the spool takes messages again"));
    service.until("room on the disk", again).await?;
    stage.sim.stop_emission().await;
    rabbit.restart()?;
    take_everything(&stage, &rabbit, "full").await?;
    ensure!(
        stage.sim.state().identifies == 1,
        "a session was thrown away"
    );
    service.terminate()?;
    stage.rules_kept()
}
