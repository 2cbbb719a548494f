//! The READMEs' configuration tables are those that the services read.

use std::{fmt::Write as _, fs, path::Path};

use boot::Key;

#[test]
fn the_tables_have_every_key() {
    for (readme, keys) in [
        ("README.md", gateway_ws::KEYS),
        ("gateway/api/README.md", gateway_api::KEYS),
        ("gateway/http/README.md", gateway_http::KEYS),
        ("gateway/voice/README.md", gateway_voice::KEYS),
        ("gateway/webhook/README.md", gateway_webhook::KEYS),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(readme);
        let text = fs::read_to_string(path).expect("the README is there");
        let table = table(keys);
        assert!(
            text.contains(&table),
            "the table in {readme} is to be:\n\n{table}"
        );
    }
}

#[test]
fn the_slash_command_is_the_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path| fs::read_to_string(root.join(path)).expect("it is there");
    let example: String = read("examples/python-worker/greet.py");
    let readme: String = read("gateway/http/README.md");
    assert!(readme.contains(&format!("```python\n{example}```\n")));
    assert!(example.lines().count() < 40);
}

#[test]
fn the_example_of_several_applications_is_valid() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(path).expect("the README is there");
    let (_, example) = readme.split_once("```toml\n").expect("an example");
    let (example, _) = example.split_once("```").expect("its end");
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["music", "moderation"] {
        fs::write(folder.path().join(name), format!("{name}.token")).expect("a file");
    }
    let folder = folder.path().to_str().expect("a path that is text");
    let example = example.replace("/run/secrets", folder);
    let reader = |service: &str, keys: &[&[Key]]| {
        let keys = [keys, boot::KEYS].concat();
        boot::Reader::of(service, &keys, [], Some(("gateway.toml", &example)))
    };
    let mut ws = reader("ws", gateway_ws::KEYS);
    let config = gateway_ws::Config::read(&mut ws);
    ws.finish(config).expect("it is right for gateway-ws");
    let mut api = reader("api", gateway_api::KEYS);
    let config = gateway_api::Config::read(&mut api);
    api.finish(config).expect("it is right for gateway-api");
    let mut webhook = reader("webhook", gateway_webhook::KEYS);
    let config = gateway_webhook::Config::read(&mut webhook);
    webhook
        .finish(config)
        .expect("it is right for gateway-webhook");
}

fn table(keys: &[&[Key]]) -> String {
    let mut table = String::from("| key | default | |\n|---|---|---|\n");
    for key in keys.iter().chain(boot::KEYS).copied().flatten() {
        let (name, default, help) = (names(key), default(key), key.help.trim_end_matches('.'));
        writeln!(table, "| {name} | {default} | {help} |").expect("a string takes all");
    }
    // What follows must not be one more row.
    table.push('\n');
    table
}

fn names(key: &Key) -> String {
    match key.secret {
        true => format!("`{0}`, `{0}_FILE`", key.name),
        false => format!("`{}`", key.name),
    }
}

fn default(key: &Key) -> String {
    key.default
        .map(|value| format!("`{value}`"))
        .unwrap_or_default()
}
