//! The target `opus`.
#![no_main]

libfuzzer::target!(fuzz::targets::OPUS);
