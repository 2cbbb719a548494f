//! Numbers as decimal digits, eight at a time.

use crate::write::{WINDOW, put};

const EIGHT: u64 = 100_000_000;
const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);

/// Writes `number` at `at`, and returns how many digits it has: up to 20.
#[inline(always)]
pub(super) fn write(window: &mut [u8; WINDOW], at: usize, number: u64) -> usize {
    if number < EIGHT {
        return leading(window, at, number);
    }
    let (high, low) = (number / EIGHT, number % EIGHT);
    let count = if high < EIGHT {
        leading(window, at, high)
    } else {
        let count = leading(window, at, high / EIGHT);
        put(window, at + count, ZEROS | digits(high % EIGHT));
        count + 8
    };
    put(window, at + count, ZEROS | digits(low));
    count + 8
}

/// The digits of a number below 10^8, without zeros in front.
#[inline(always)]
fn leading(window: &mut [u8; WINDOW], at: usize, number: u64) -> usize {
    let digits = digits(number);
    let zeros = (digits.trailing_zeros() / 8).min(7);
    put(window, at, (ZEROS | digits) >> (8 * zeros));
    8 - zeros as usize
}

/// The values of the eight digits of a number below 10^8, the first in the lowest byte: halves, then
/// quarters, then all of them are divided at once. The factors are reciprocals that are exact for
/// numbers of so few digits.
#[inline(always)]
fn digits(number: u64) -> u64 {
    let halves = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((halves * 10_486) >> 20) & 0x7f_0000_007f;
    let quarters = hundreds | ((halves - hundreds * 100) << 16);
    let tens = ((quarters * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((quarters - tens * 10) << 8)
}

#[cfg(test)]
mod tests {
    use super::{EIGHT, WINDOW, write};

    fn check(number: u64) {
        let mut window = [0; WINDOW];
        let count = write(&mut window, 3, number);
        assert_eq!(window[3..3 + count], *number.to_string().as_bytes());
    }

    #[test]
    fn as_the_standard_library_does() {
        let powers = (0..20).map(|power| 10_u64.pow(power));
        for power in powers {
            for number in [
                power - 1,
                power,
                power + 1,
                power / 2,
                power.wrapping_mul(19),
            ] {
                check(number);
            }
        }
        for number in [u64::MAX, u64::MAX - 1, EIGHT * EIGHT, EIGHT * EIGHT - 1] {
            check(number);
        }
        let mut number = 88_172_645_463_325_252_u64;
        for _ in 0..20_000 {
            number ^= number << 13;
            number ^= number >> 7;
            number ^= number << 17;
            check(number >> (number % 64));
        }
        for number in 0..20_000 {
            check(number);
            check(number * 10_000);
        }
    }
}
