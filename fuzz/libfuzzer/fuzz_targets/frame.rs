//! The target `frame`.
#![no_main]

libfuzzer::target!(fuzz::targets::FRAME);
