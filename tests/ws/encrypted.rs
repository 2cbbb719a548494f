//! Events over TLS: to a broker that the machine trusts, and to no other.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use sim::Config;
use tests::{rabbitmq::Rabbit, server::free_ports};

use super::system;

/// Makes a certificate authority and a certificate for `localhost`, with what RabbitMQ brings along.
const AUTHORITY: &str = r#"
    Name = {'Extension', {2, 5, 29, 17}, false, [{dNSName, "localhost"}]},
    Of = [{key, {rsa, 2048, 65537}}, {digest, sha256}],
    Chain = #{root => Of, intermediates => [], peer => [{extensions, [Name]} | Of]},
    #{server_config := Server, client_config := Client} =
        public_key:pkix_test_data(#{server_chain => Chain, client_chain => Chain}),
    {cert, Certificate} = lists:keyfind(cert, 1, Server),
    {key, {Kind, Key}} = lists:keyfind(key, 1, Server),
    {cacerts, Authorities} = lists:keyfind(cacerts, 1, Client),
    Write = fun(File, Entries) ->
        Pem = [{Type, Der, not_encrypted} || {Type, Der} <- Entries],
        ok = file:write_file(File, public_key:pem_encode(Pem))
    end,
    Write("certificate.pem", [{'Certificate', Certificate}]),
    Write("key.pem", [{Kind, Key}]),
    Write("authority.pem", [{'Certificate', Der} || Der <- Authorities]),
    halt().
"#;

fn certify(folder: &Path) -> Result<()> {
    let made = Command::new("erl")
        .current_dir(folder)
        .env("HOME", folder)
        .args(["-noshell", "-eval", AUTHORITY])
        .output()
        .context("cannot start erl: is rabbitmq-server installed?")?;
    let complaint = String::from_utf8_lossy(&made.stdout);
    ensure!(made.status.success(), "no certificates: {complaint}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_travel_encrypted_to_a_broker_that_is_trusted_and_to_no_other() -> Result<()> {
    let folder = tempfile::tempdir()?;
    certify(folder.path())?;
    let [port] = free_ports()?;
    let file = |name: &str| folder.path().join(name).display().to_string();
    let rabbit = Rabbit::configured(&format!(
        "listeners.ssl.1 = 127.0.0.1:{port}\n\
         ssl_options.certfile = {}\n\
         ssl_options.keyfile = {}\n\
         ssl_options.verify = verify_none\n",
        file("certificate.pem"),
        file("key.pem"),
    ))?;
    let mut stage = system::stage(&rabbit, Config::default(), "encrypted").await?;
    let url = format!("amqps://guest:guest@localhost:{port}/%2f");
    stage.set("AMQP_URL", &url);

    // What a session brought that nobody could publish would be missed later.
    stage
        .sim
        .change_faults(|faults| faults.rest_status = Some(503));
    let service = stage.start()?;
    let refused = || Ok(service.log().contains("SSL_CERT_FILE"));
    service.until("the refusal", refused).await?;
    let ended = service.terminate()?;
    ensure!(!ended.log.contains("guest:guest"), "{}", ended.log);

    stage.set("SSL_CERT_FILE", &file("authority.pem"));
    let service = system::start_bound(&stage, &rabbit, "encrypted").await?;
    stage.emit(2_000).await?;
    system::take_everything(&stage, &rabbit, "encrypted").await?;
    service.terminate()?;
    stage.rules_kept()
}
