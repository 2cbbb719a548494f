//! What a service waits for when it starts: the descriptors, and the tables made from them.

use tokio::time::Instant;
use transcode::Transcoder;

/// Tables are compiled so often; the first time counts, and the best is told as well.
const TIMES: usize = 20;

pub(crate) fn measure() {
    let start = Instant::now();
    let messages = wire::descriptors().all_messages().count();
    let decoded = start.elapsed();
    let start = Instant::now();
    let transcoder = Transcoder::new();
    let first = start.elapsed();
    let mut best = first;
    for _ in 1..TIMES {
        let start = Instant::now();
        std::hint::black_box(Transcoder::new());
        best = best.min(start.elapsed());
    }
    let shapes = transcoder.schema().names().count();
    println!("\nstart, with {messages} messages of which {shapes} are objects:");
    println!("  descriptors decoded in       {decoded:8.2?}");
    println!("  tables compiled in           {first:8.2?}  (best of {TIMES}: {best:.2?})");
    println!(
        "  together                     {:8.2?}  (at most 20 ms)",
        decoded + first
    );
}
