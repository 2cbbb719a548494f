//! What only a test of this package can have cargo do: build the program. The rest is in `tests/`.

use std::process::Command;

#[test]
fn check_names_what_is_missing() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway-voice"));
    let output = command.arg("--check").env_clear().output();
    let output = output.expect("cargo has built the program");
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(text.contains("DISCORD_APPLICATION_ID"), "{text}");
}
