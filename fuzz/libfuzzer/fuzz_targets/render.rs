//! The target `render`.
#![no_main]

libfuzzer::target!(fuzz::targets::RENDER);
