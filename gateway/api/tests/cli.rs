//! The command line of the program.

use gateway_api::KEYS;
use std::process::{Command, Output};

fn run(argument: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gateway-api"))
        .arg(argument)
        .env_clear()
        .output()
        .expect("cargo has built the program")
}

#[test]
fn help_lists_every_key() {
    let output = run("--help");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for key in KEYS.iter().copied().flatten() {
        assert!(
            text.contains(key.name),
            "{} is missing in\n{text}",
            key.name
        );
    }
}

#[test]
fn version_names_program_and_version() {
    let output = run("--version");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        text.trim(),
        concat!("gateway-api ", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn check_names_what_is_missing() {
    let output = run("--check");
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(text.contains("DISCORD_TOKEN"), "{text}");
}
