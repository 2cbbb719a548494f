//! The program `gateway-webhook`.

use gateway_webhook::{Config, KEYS, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    boot::main_with_orders(
        "gateway-webhook",
        env!("CARGO_PKG_VERSION"),
        KEYS,
        registration::ORDERS,
        Config::read,
        run,
    )
}
