//! The opcodes that Discord's gateway sends.
//!
//! See [Discord Docs/Gateway Opcodes](https://docs.discord.com/developers/topics/opcodes-and-status-codes#gateway-gateway-opcodes).

/// An event.
pub const DISPATCH: u32 = 0;
/// A heartbeat is wanted at once.
pub const HEARTBEAT: u32 = 1;
/// Connect again, and resume.
pub const RECONNECT: u32 = 7;
/// The session is refused.
pub const INVALID_SESSION: u32 = 9;
/// The beginning of a connection.
pub const HELLO: u32 = 10;
/// The answer to a heartbeat.
pub const HEARTBEAT_ACK: u32 = 11;
