//! The service `rest`: every operation of Discord's HTTP API. It has descriptors alone, and they stand
//! apart: what it takes to carry the operations out is read from them, and who has no use for them
//! does not carry them along.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, ServiceDescriptor};

/// The compiled `.proto` files that [`crate::DESCRIPTORS`] leaves out: an encoded
/// `FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!("gen/rest.bin");

/// Method, path and name of every operation, one a line: for who wants no more of them than their names.
pub const OPERATIONS: &str = include_str!("gen/operations.txt");

/// The whole contract's descriptors, options included. They are parsed once.
pub fn descriptors() -> &'static DescriptorPool {
    static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
        let mut pool = crate::descriptors().clone();
        pool.decode_file_descriptor_set(DESCRIPTORS)
            .expect("the descriptors are part of this crate, and its tests decode them");
        pool
    });
    &POOL
}

/// The service.
pub fn service() -> ServiceDescriptor {
    descriptors()
        .get_service_by_name("discord.v1.Rest")
        .expect("the service is part of the contract")
}
