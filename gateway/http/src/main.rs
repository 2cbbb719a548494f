//! The program `gateway-http`.

use gateway_http::{Config, KEYS, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    boot::main_with_orders(
        "gateway-http",
        env!("CARGO_PKG_VERSION"),
        KEYS,
        registration::ORDERS,
        Config::read,
        run,
    )
}
