//! The program `discord-sim`.

use std::process::Stdio;

use sim::{Urls, intents};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

use crate::client::{Client, PATIENCE, http};

#[tokio::test]
async fn the_program_tells_its_urls_emits_by_itself_and_ends_on_sigterm() {
    let file = std::env::temp_dir().join(format!("discord-sim-{}.json", std::process::id()));
    let mut program = Command::new(env!("CARGO_BIN_EXE_discord-sim"))
        .args([
            "--address",
            "0",
            "--guilds",
            "2",
            "--rate",
            "500",
            "--count",
            "20",
        ])
        .arg("--ready-file")
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let line = timeout(PATIENCE, lines.next_line())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let urls: Urls = serde_json::from_str(&line).unwrap();
    let mut client = Client::connect(&urls.gateway).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim_end(), line);
    std::fs::remove_file(&file).unwrap();
    client.identify([0, 1], intents::ALL).await;
    for number in 1..=20 {
        let mark = loop {
            let event = client.payload().await;
            if let Some(mark) = event["d"]["sim"]["n"].as_u64() {
                break mark;
            }
        };
        assert_eq!(mark, number);
    }
    let url = format!("{}/run", urls.control);
    let ended = async { while http("GET", &url, "", "").await.1["running"] != false {} };
    timeout(PATIENCE, ended).await.unwrap();
    assert_eq!(http("GET", &url, "", "").await.1["events"], 20);
    let pid = program.id().unwrap().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .await
            .unwrap()
            .success()
    );
    let status = timeout(PATIENCE, program.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(client.closed().await, None);
}
