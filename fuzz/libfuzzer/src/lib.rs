//! What the programs share: a target of the library, in the form that libFuzzer wants.

pub use libfuzzer_sys;

use fastrand::Rng;
use fuzz::targets::Target;

/// Defines the program of a target.
#[macro_export]
macro_rules! target {
    ($target:expr) => {
        use $crate::libfuzzer_sys::{fuzz_mutator, fuzz_target};
        fuzz_target!(|input: &[u8]| {
            ($target.run)(input);
        });
        fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
            $crate::mutate(&$target, data, size, most, seed)
        });
    };
}

/// Changes the input that is the first `size` bytes of `data`, and returns its new length: every
/// other time by the target's own rules.
pub fn mutate(target: &Target, data: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    let mut rng = Rng::with_seed(seed.into());
    let new = (target.mutate)(&mut rng, &data[..size]);
    if rng.bool() || new.len() > most {
        return libfuzzer_sys::fuzzer_mutate(data, size, most);
    }
    data[..new.len()].copy_from_slice(&new);
    new.len()
}
