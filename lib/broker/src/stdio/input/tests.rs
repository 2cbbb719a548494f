//! Lines as they come: in pieces, too long, empty, or not at all.

use std::time::Duration;

use tokio::{
    io::{self, AsyncWriteExt as _},
    sync::mpsc,
    time,
};

use super::{Input, LONGEST};

#[tokio::test(start_paused = true)]
async fn lines_are_put_together_and_empty_ones_skipped() {
    let (mut writer, reader) = io::duplex(64);
    let (replies, _receiver) = mpsc::channel(1);
    let mut input = Input::new(reader, &["ws"], 1, replies);
    writer.write_all(b"\n  \r\n{\"type\":").await.unwrap();
    assert!(
        time::timeout(Duration::from_secs(1), input.next())
            .await
            .is_err()
    );
    writer.write_all(b"\"a\"}\nnonsense").await.unwrap();
    drop(writer);
    let (call, _) = input.next().await;
    assert!(call.unwrap_err().contains("\"a\""));
    let (call, _) = input.next().await;
    assert!(
        call.unwrap_err().contains("no request"),
        "the last line needs no line feed"
    );
    assert!(
        time::timeout(Duration::from_secs(3_600), input.next())
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn a_line_without_end_takes_no_memory() {
    let (mut writer, reader) = io::duplex(1 << 20);
    let (replies, _receiver) = mpsc::channel(1);
    let mut input = Input::new(reader, &["ws"], 1, replies);
    let writing = async {
        for _ in 0..(LONGEST >> 20) + 5 {
            writer.write_all(&vec![b'x'; 1 << 20]).await.unwrap();
        }
        writer.write_all(b"\nnext\n").await.unwrap();
    };
    let ((call, _), ()) = tokio::join!(input.next(), writing);
    assert!(call.unwrap_err().contains("longer than"));
    assert!(input.line.capacity() <= 2 * LONGEST);
    let (call, _) = input.next().await;
    assert!(call.unwrap_err().contains("no request"));
}
