//! The target `routing`.
#![no_main]

libfuzzer::target!(fuzz::targets::ROUTING);
