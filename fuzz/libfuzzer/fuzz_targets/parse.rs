//! The target `parse`.
#![no_main]

libfuzzer::target!(fuzz::targets::PARSE);
