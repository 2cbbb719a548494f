//! What every store promises, tried on each of them; and what only Redis or a file can do.

mod bench;
mod corrupt;
mod differential;
mod file;
mod fleet;
mod identify;
mod leases;
mod load;
mod outage;
mod server;
mod sessions;
mod tls;

/// Tests of the contract: each on the store in memory, with a file, and in Redis.
macro_rules! contract {
    ($($name:ident)*) => {
        mod memory {
            $(
                #[tokio::test(start_paused = true)]
                async fn $name() {
                    super::$name($crate::bench::Bench::memory()).await;
                }
            )*
        }
        mod with_a_file {
            $(
                #[tokio::test(start_paused = true)]
                async fn $name() {
                    super::$name($crate::bench::Bench::file()).await;
                }
            )*
        }
        mod redis {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name($crate::bench::Bench::redis()).await;
                }
            )*
        }
    };
}
use contract;
