//! What every store promises, tried on each of them; and what only Redis or a file can do.

#[cfg(test)]
mod bench;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod corrupt;
#[cfg(test)]
mod differential;
#[cfg(test)]
mod file;
#[cfg(test)]
mod fleet;
#[cfg(test)]
mod identify;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod load;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod server;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod tls;

/// Tests of the contract: each on the store in memory, with a file, and in Redis.
#[cfg(test)]
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
#[cfg(test)]
use contract;
