//! Dates and snowflakes as Discord writes them.

use std::{
    io::Write,
    time::{SystemTime, UNIX_EPOCH},
};

/// Unix milliseconds of the first second of 2015, where snowflakes start.
const DISCORD_EPOCH_MS: u64 = 1_420_070_400_000;

/// Microseconds since 1970.
pub(crate) fn unix_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    })
}

/// A snowflake of that moment; `number` tells apart those of one millisecond.
pub(crate) fn snowflake(unix_ms: u64, number: u64) -> u64 {
    (unix_ms.saturating_sub(DISCORD_EPOCH_MS) << 22) | (number & 0x3f_ffff)
}

/// When the snowflake was made, in milliseconds since 1970.
pub(crate) fn created_ms(snowflake: u64) -> u64 {
    (snowflake >> 22) + DISCORD_EPOCH_MS
}

/// Appends the moment as `2026-08-06T10:20:30.123000+00:00`.
pub(crate) fn write_iso(unix_micros: u64, out: &mut Vec<u8>) {
    let seconds = unix_micros / 1_000_000;
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let micros = unix_micros % 1_000_000;
    write!(
        out,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}+00:00"
    )
    .expect("writing to a Vec does not fail");
}

/// The date that lies so many days after 1970-01-01, by counting in eras of 400 years from a 1 March.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + shifted / 146_097 * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::{snowflake, write_iso};

    #[test]
    fn dates_are_right_around_leap_days() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000001+00:00"),
            (951_782_400, "2000-02-29T00:00:00.000001+00:00"),
            (951_868_800, "2000-03-01T00:00:00.000001+00:00"),
            (1_798_761_599, "2026-12-31T23:59:59.000001+00:00"),
        ] {
            let mut out = Vec::new();
            write_iso(seconds * 1_000_000 + 1, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn snowflakes_start_in_2015() {
        assert_eq!(snowflake(1_420_070_400_001, 5), (1 << 22) + 5);
    }
}
