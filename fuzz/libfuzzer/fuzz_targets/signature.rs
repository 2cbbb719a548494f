//! The target `signature`.
#![no_main]

libfuzzer::target!(fuzz::targets::SIGNATURE);
