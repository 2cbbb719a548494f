//! The secrets that `deploy/setup.sh` makes, and the users of Redis among them.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use tests::{
    deployment::{Deployment, deploy, read, setup},
    passing,
    redis::Redis,
    service::services,
};

#[tokio::test(flavor = "multi_thread")]
async fn services_and_workers_do_their_work_with_the_rights_that_they_have() -> Result<()> {
    let shared = tempfile::tempdir()?;
    passing::pass(services()?, shared.path()).await?;
    Ok(())
}

/// What a Redis of the deployment answers to a command of a user.
fn said(deployment: &Deployment, redis: &Redis, user: &str, command: &str) -> Result<String> {
    let password = deployment.secret(user, "password")?;
    let answer = redis.say(&format!("AUTH {user} {password}\r\n{command}\r\n"))?;
    Ok(answer.lines().nth(1).unwrap_or_default().to_owned())
}

#[test]
fn a_user_of_redis_has_its_own_keys_and_no_command_for_all() -> Result<()> {
    let deployment = Deployment::secrets()?;
    let redis = Redis::with_users(&deployment.users())?;
    ensure!(redis.say("GET x\r\n")?.starts_with("-NOAUTH"));
    for (user, command, allowed) in [
        ("gateway-ws", "HGET discord:{1}:sessions 0", true),
        ("gateway-ws", "HGET discord:{1}:window:x 0", false),
        ("gateway-api", "HGET discord:{1}:window:x 0", true),
        ("gateway-api", "HGET discord:{1}:sessions 0", false),
        ("gateway-voice", "HGET discord:{1}:voice:leases 0", true),
        ("gateway-voice", "HGET discord:{1}:leases 0", false),
        ("gateway-ws", "HGET discord:{1}:voice:leases 0", false),
        ("gateway-webhook", "HGET discord:{1}:leases 0", false),
        ("gateway-ws", "GET other", false),
        ("gateway-ws", "KEYS *", false),
        ("gateway-ws", "FLUSHALL", false),
        ("gateway-ws", "CONFIG GET dir", false),
        ("gateway-ws", "ACL LIST", false),
        ("gateway-ws", "SCRIPT FLUSH", false),
        ("gateway-ws", "PUBLISH x y", false),
    ] {
        let answer = said(&deployment, &redis, user, command)?;
        ensure!(
            answer.starts_with("-NOPERM") != allowed,
            "{user} {command}: {answer}"
        );
    }
    Ok(())
}

#[test]
fn setup_keeps_what_is_there_and_tells_each_user_its_own() -> Result<()> {
    let folder = tempfile::tempdir()?;
    setup(folder.path(), "rabbit:5672")?;
    let password = read(folder.path(), "gateway-ws", "password")?;
    ensure!(password.len() == 48 && password.chars().all(|it| it.is_ascii_hexdigit()));
    ensure!(password != read(folder.path(), "gateway-api", "password")?);
    setup(folder.path(), "rabbit:5673")?;
    ensure!(password == read(folder.path(), "gateway-ws", "password")?);
    let url = format!("amqp://gateway-ws:{password}@rabbit:5673/%2f");
    ensure!(url == read(folder.path(), "gateway-ws", "amqp-url")?);
    ensure!(read(folder.path(), "gateway-ws", "discord-token")? == "a.token");
    ensure!(read(folder.path(), "gateway-http", "discord-token").is_err());
    let definitions = read(folder.path(), "rabbitmq", "definitions.json")?;
    ensure!(!definitions.contains(&password) && !definitions.contains(r#""password_hash": """#));
    Ok(())
}

#[test]
fn the_definitions_carry_no_password() -> Result<()> {
    let text = fs::read_to_string(deploy().join("rabbitmq/definitions.json"))?;
    let definitions: serde_json::Value = serde_json::from_str(&text)?;
    let users = definitions["users"].as_array().context("users")?;
    ensure!(!users.is_empty());
    for user in users {
        // RabbitMQ lets nobody log in so.
        ensure!(
            user["password_hash"] == "" && user.get("password").is_none(),
            "{user}"
        );
    }
    Ok(())
}
