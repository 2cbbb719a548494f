#![doc = include_str!("../README.md")]

pub mod event;
pub mod intent;
pub mod interaction;
pub mod rest;
pub mod routing;

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;

/// Discord's own objects and events.
pub mod discord {
    /// Version 1 of the contract.
    #[expect(
        clippy::too_many_lines,
        clippy::use_self,
        reason = "generated: its shape is prost's"
    )]
    pub mod v1 {
        include!("gen/discord.v1.rs");
    }
}

/// What this system adds to Discord's own: the envelope of events, and errors.
pub mod gateway {
    /// Version 1 of the contract.
    pub mod v1 {
        include!("gen/gateway.v1.rs");
    }
}

/// The compiled `.proto` files with all that they import, but for those of the service `rest`: an
/// encoded `FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!("gen/descriptors.bin");

/// The contract's descriptors, options included. They are parsed once.
pub fn descriptors() -> &'static DescriptorPool {
    static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
        DescriptorPool::decode(DESCRIPTORS)
            .expect("the descriptors are part of this crate, and its tests decode them")
    });
    &POOL
}
