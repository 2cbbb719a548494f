//! The storeys of the workspace: which of our crates may depend on which. Arrows only go down.

use std::collections::BTreeMap;

use serde_json::Value;

/// Each library with all of ours that it may depend on, in its tests too.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("backoff", &[]),
    ("boot", &["backoff"]),
    ("certificate", &[]),
    ("discord", &["boot"]),
    // Of ours they use nothing: else our mistakes would agree with themselves.
    ("sim-voice", &[]),
    ("sim", &["sim-voice"]),
    ("transcode", &["wire"]),
    ("rest", &["transcode", "wire"]),
    ("rabbitmq", &[]),
    ("listener", &["boot", "certificate", "discord"]),
    ("places", &["boot"]),
    ("store", &["backoff", "boot", "certificate", "discord"]),
    ("sound", &["boot", "places", "sim-voice", "wire"]),
    ("broker", &["boot", "rabbitmq", "wire"]),
    ("recording", &["sim-voice", "wire"]),
    ("registration", &["boot", "broker", "discord", "wire"]),
    ("events", &["boot", "broker", "transcode", "wire"]),
    ("interactions", &["boot", "broker", "transcode", "wire"]),
    (
        "outbound",
        &[
            "boot",
            "broker",
            "discord",
            "places",
            "rest",
            "sim",
            "store",
            "transcode",
            "wire",
        ],
    ),
];

/// Libraries for workers: they see the contract and the broker, and nothing of the services.
const CLIENTS: &[(&str, &[&str])] = &[(
    "discord-gateway-client",
    &["backoff", "rabbitmq", "transcode", "wire"],
)];

/// What a service stands on. Services meet in the contract alone.
const UNDER_SERVICES: &[&str] = &[
    "boot",
    "broker",
    "discord",
    "events",
    "interactions",
    "listener",
    "outbound",
    "recording",
    "registration",
    "rest",
    "sound",
    "store",
    "transcode",
    "wire",
];

/// What the tests of a service have beside that.
const FOR_TESTS: &[&str] = &["certificate", "sim"];

/// What stands on top of everything.
const TOP: &[&str] = &["bench", "fuzz", "tests"];

#[test]
fn arrows_only_go_down() {
    let crates = crates();
    assert!(
        crates.contains_key("gateway-ws"),
        "cargo knows no gateway-ws"
    );
    let wrong: Vec<String> = crates
        .iter()
        .flat_map(|(name, arrows)| arrows.iter().map(move |arrow| (name, arrow)))
        .filter(|(name, arrow)| !allowed(name, arrow))
        .map(|(name, arrow)| format!("{name} -> {}", arrow.to))
        .collect();
    assert!(
        wrong.is_empty(),
        "not allowed by tests/layers.rs: {wrong:?}"
    );
}

#[test]
fn every_crate_has_its_storey() {
    let homeless: Vec<String> = crates()
        .into_keys()
        .filter(|name| {
            let mut libraries = LIBRARIES.iter().chain(CLIENTS);
            let known = libraries.any(|(library, _)| library == name);
            !known && !is_service(name) && !TOP.contains(&name.as_str())
        })
        .collect();
    assert!(
        homeless.is_empty(),
        "not named in tests/layers.rs: {homeless:?}"
    );
}

fn allowed(name: &str, arrow: &Arrow) -> bool {
    let to = arrow.to.as_str();
    if TOP.contains(&name) {
        return !TOP.contains(&to);
    }
    if is_service(name) {
        return UNDER_SERVICES.contains(&to) || (FOR_TESTS.contains(&to) && arrow.in_tests);
    }
    LIBRARIES
        .iter()
        .chain(CLIENTS)
        .any(|(library, uses)| *library == name && uses.contains(&to))
}

fn is_service(name: &str) -> bool {
    name.starts_with("gateway-")
}

/// One of our crates in another one's manifest.
struct Arrow {
    to: String,
    in_tests: bool,
}

/// Our crates, each with those of ours that it names in its manifest.
fn crates() -> BTreeMap<String, Vec<Arrow>> {
    let cargo = std::process::Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--format-version=1",
            "--locked",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo can be run, since it runs this test");
    assert!(
        cargo.status.success(),
        "{}",
        String::from_utf8_lossy(&cargo.stderr)
    );
    let metadata: Value = serde_json::from_slice(&cargo.stdout).expect("cargo writes JSON");
    list(&metadata["packages"])
        .map(|package| {
            let arrows = list(&package["dependencies"])
                .filter(|dependency| dependency["path"].is_string())
                .map(|dependency| Arrow {
                    to: text(&dependency["name"]),
                    in_tests: dependency["kind"] == "dev",
                })
                .collect();
            (text(&package["name"]), arrows)
        })
        .collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
