//! A service that shows its certificate to RabbitMQ and Redis, which ask for one; what is said when one does not fit; and a worker
//! that does the same.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use discord_gateway_client::{CallError, Consumer, Options, Requests, Tls};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use tests::{
    deployment::{Deployment, PREFIX},
    interactions::stage::{Stage, ready},
    rabbitmq::Rabbit,
    redis::Redis,
    server::free_ports,
    service::{Service, services},
};
use tokio::time::timeout;
use wire::gateway::v1::{VoiceStatusRequest, VoiceStatusResponse};

const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody who signs certificates, and those that he has signed, as files.
struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Result<Self> {
        let folder = folder.join(name);
        fs::create_dir(&folder)?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        fs::write(folder.join("ca.pem"), params.self_signed(&key)?.pem())?;
        let issuer = Issuer::new(params, key);
        Ok(Self { folder, issuer })
    }

    /// Signs the certificate of `localhost`, or of a user that logs in by it.
    fn sign(&self, name: &str) -> Result<()> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        fs::write(self.folder.join(format!("{name}.pem")), certificate.pem())?;
        fs::write(self.folder.join(format!("{name}.key")), key.serialize_pem())?;
        Ok(())
    }

    /// The path of a file.
    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

/// A RabbitMQ that takes nobody without a certificate, by which users log in too.
fn rabbit(authority: &Authority, deployment: &Deployment, port: u16) -> Result<Rabbit> {
    let lines = [
        format!("load_definitions = {}", deployment.definitions().display()),
        format!("listeners.ssl.1 = 127.0.0.1:{port}"),
        format!("ssl_options.cacertfile = {}", authority.file("ca.pem")),
        format!("ssl_options.certfile = {}", authority.file("localhost.pem")),
        format!("ssl_options.keyfile = {}", authority.file("localhost.key")),
        "ssl_options.verify = verify_peer".to_owned(),
        "ssl_options.fail_if_no_peer_cert = true".to_owned(),
        "auth_mechanisms.1 = EXTERNAL".to_owned(),
        "auth_mechanisms.2 = PLAIN".to_owned(),
        "ssl_cert_login_from = common_name".to_owned(),
    ];
    Rabbit::with_plugins(&lines.join("\n"), &["rabbitmq_auth_mechanism_ssl"])
}

/// A Redis that takes nobody without a certificate at this port.
fn redis(authority: &Authority, deployment: &Deployment, port: u16) -> Result<Redis> {
    let more = [
        ("--tls-port", port.to_string()),
        ("--tls-ca-cert-file", authority.file("ca.pem")),
        ("--tls-cert-file", authority.file("localhost.pem")),
        ("--tls-key-file", authority.file("localhost.key")),
        ("--tls-auth-clients", "yes".to_owned()),
        ("--aclfile", deployment.users().display().to_string()),
    ];
    let more = more
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value]);
    Redis::configured(more.collect())
}

/// Waits until the service has logged this.
async fn says(service: &Service, words: &str) -> Result<()> {
    service
        .until(words, || Ok(service.log().contains(words)))
        .await
}

/// Sets the three files of a server.
fn show(stage: &mut Stage, server: &str, roots: &str, identity: Option<&String>) {
    stage.set(&format!("{server}_TLS_CA"), roots);
    let file = |end: &str| identity.map_or(String::new(), |name| format!("{name}.{end}"));
    stage.set(&format!("{server}_TLS_CERT"), &file("pem"));
    stage.set(&format!("{server}_TLS_KEY"), &file("key"));
}

/// What a service shows and trusts: the roots, and certificates without the end of their names.
struct Files {
    roots: String,
    own: String,
    /// Of one that nobody here knows.
    other_roots: String,
    theirs: String,
    /// Of a name that is no user.
    nobody: String,
    /// What must not be logged.
    password: String,
}

impl Files {
    /// Ends a service that has logged no secret.
    fn ended(&self, service: Service) -> Result<()> {
        // What waits for a server would wait for all of its time.
        let ended = service.kill()?;
        ensure!(!ended.log.contains(&self.password), "{}", ended.log);
        Ok(())
    }
}

/// Starts services whose certificates do not fit RabbitMQ.
async fn refused_by_rabbitmq(stage: &mut Stage, files: &Files) -> Result<()> {
    for (roots, identity, words) in [
        // A server that we do not trust.
        (&files.other_roots, Some(&files.own), "UnknownIssuer"),
        // A server that does not trust us, or wants to see something.
        (
            &files.roots,
            Some(&files.theirs),
            "cannot be published for now",
        ),
        (&files.roots, None, "cannot be published for now"),
        // A certificate that is nobody's login.
        (&files.roots, Some(&files.nobody), "refused the login"),
    ] {
        show(stage, "AMQP", roots, identity);
        let service = stage.order("gateway-ws", &[], &[])?;
        says(&service, words).await?;
        files.ended(service)?;
    }
    Ok(())
}

/// The same with Redis.
async fn refused_by_redis(stage: &mut Stage, files: &Files) -> Result<()> {
    for (roots, identity) in [
        (&files.other_roots, Some(&files.own)),
        (&files.roots, Some(&files.theirs)),
        (&files.roots, None),
    ] {
        show(stage, "REDIS", roots, identity);
        let service = stage.order("gateway-ws", &[], &[])?;
        says(&service, "REDIS_URL").await?;
        let url = format!("{}/readyz", service.admin().await?);
        ensure!(reqwest::get(&url).await?.status() == 503);
        files.ended(service)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_opens_rabbitmq_and_redis_and_a_strangers_does_not() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new(folder.path(), "ours")?;
    let stranger = Authority::new(folder.path(), "theirs")?;
    for (authority, name) in [
        (&authority, "localhost"),
        (&authority, "gateway-ws"),
        (&authority, "nobody"),
        (&stranger, "gateway-ws"),
    ] {
        authority.sign(name)?;
    }
    let deployment = Deployment::secrets()?;
    let [amqps, rediss] = free_ports()?;
    let _rabbit = rabbit(&authority, &deployment, amqps)?;
    let _redis = redis(&authority, &deployment, rediss)?;
    let files = Files {
        roots: authority.file("ca.pem"),
        own: authority.file("gateway-ws"),
        other_roots: stranger.file("ca.pem"),
        theirs: stranger.file("gateway-ws"),
        nobody: authority.file("nobody"),
        password: deployment.secret("gateway-ws", "password")?,
    };

    // No password: the certificate is the login.
    let url = format!("amqps://localhost:{amqps}/%2f?auth_mechanism=external");
    let mut stage = Stage::with(services()?, &url, PREFIX).await?;
    let password = &files.password;
    let state = format!("rediss://gateway-ws:{password}@localhost:{rediss}/0");
    stage.set("REDIS_URL", &state);
    show(&mut stage, "AMQP", &files.roots, Some(&files.own));
    show(&mut stage, "REDIS", &files.roots, Some(&files.own));
    let service = stage.order("gateway-ws", &[], &[])?;
    ready(&service).await?;
    files.ended(service)?;

    refused_by_rabbitmq(&mut stage, &files).await?;
    show(&mut stage, "AMQP", &files.roots, Some(&files.own));
    refused_by_redis(&mut stage, &files).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_in_rust_logs_in_by_its_certificate() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new(folder.path(), "ours")?;
    for name in ["localhost", "worker-music"] {
        authority.sign(name)?;
    }
    let deployment = Deployment::secrets()?;
    let [port, _] = free_ports()?;
    let _rabbit = rabbit(&authority, &deployment, port)?;
    let url = format!("amqps://localhost:{port}/%2f?auth_mechanism=external");
    let tls = Tls {
        roots: Some(authority.file("ca.pem").into()),
        identity: Some((
            authority.file("worker-music.pem").into(),
            authority.file("worker-music.key").into(),
        )),
    };

    let mut consumer = Consumer::new(Options::new(&url, "worker-music").tls(tls.clone()))?;
    let connected = timeout(PATIENCE, consumer.connect()).await;
    connected.context("the events")?;

    let requests = Requests::start_tls(&url, PREFIX, &tls)?;
    let asked = VoiceStatusRequest { guild_id: 2 };
    let call = requests.to(1).target("2").timeout(PATIENCE);
    let answer: Result<VoiceStatusResponse, CallError> = call.call(&asked).await;
    // RabbitMQ has looked for somebody who takes it.
    ensure!(matches!(answer, Err(CallError::NoService(_))), "{answer:?}");
    requests.close().await;
    Ok(())
}
