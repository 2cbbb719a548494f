//! The UDP socket, and the clock that simulated users speak by.

use std::{sync::Arc, time::Duration};

use tokio::{
    net::UdpSocket,
    sync::Notify,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::server::Shared;

/// More than any packet of voice has.
const LARGEST: usize = 2048;
/// How often simulated users send.
const FRAME: Duration = Duration::from_millis(20);
/// After so many frames what has expired is looked for.
const SWEEP: u32 = 5;

/// Takes packets until the shutdown.
pub(crate) async fn receive(
    socket: Arc<UdpSocket>,
    shared: Arc<Shared>,
    shutdown: CancellationToken,
) {
    let mut buffer = vec![0; LARGEST];
    while let Some(received) = shutdown
        .run_until_cancelled(socket.recv_from(&mut buffer))
        .await
    {
        let (length, from) = match received {
            Ok(received) => received,
            Err(error) => {
                // A client that is gone answers by ICMP, which Linux reports here.
                tracing::debug!(%error, "no packet was received");
                continue;
            }
        };
        let Some(packet) = buffer.get(..length) else {
            continue;
        };
        let now = Instant::now();
        let reply = shared.hall().on_packet(now, packet, from);
        if let Some(reply) = reply
            && let Err(error) = socket.send_to(&reply, from).await
        {
            tracing::debug!(%error, "IP discovery was not answered");
        }
    }
}

/// Lets simulated users speak until the shutdown. While nobody is there it sleeps.
pub(crate) async fn speak(shared: Arc<Shared>, work: Arc<Notify>, shutdown: CancellationToken) {
    while shutdown
        .run_until_cancelled(work.notified())
        .await
        .is_some()
    {
        let mut ticks = interval(FRAME);
        // A late frame is sent late, and those after it in time again.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut frames: u32 = 0;
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            let mut hall = shared.hall();
            hall.speak_on();
            frames = frames.wrapping_add(1);
            if frames.is_multiple_of(SWEEP) {
                hall.sweep(Instant::now());
            }
            if hall.is_empty() {
                break;
            }
        }
    }
}
