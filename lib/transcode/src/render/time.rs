//! Times: `google.protobuf.Timestamp` to ISO 8601 as Discord writes it.

use super::Render;
use crate::error::Mistake;
use crate::scan::Rest;
use crate::table::Wire;

/// From 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z: what a `Timestamp` may hold.
pub(crate) const RANGE: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;

/// Days in 400 years.
const CYCLE: i64 = 146_097;

impl<'a> Render<'a> {
    #[inline(never)]
    pub(super) fn time(&mut self, rest: &'a [u8], left: usize) -> Rest<'a> {
        let (end, mut rest) = self.length(rest, left)?;
        let (mut seconds, mut nanos) = (0, 0);
        while rest.len() > end {
            let (tag, value) = self.tag(rest)?;
            if !matches!(tag >> 3, 1 | 2) {
                return self.wrong(Mistake::Unknown(tag >> 3));
            }
            self.expect(tag, Wire::Varint)?;
            let (number, behind) = self.varint(value)?;
            if tag >> 3 == 1 {
                seconds = number as i64;
            } else {
                nanos = number as u32 as i32;
            }
            rest = behind;
        }
        if rest.len() < end {
            return self.wrong(Mistake::Truncated);
        }
        if !RANGE.contains(&seconds) || !(0..1_000_000_000).contains(&nanos) {
            return self.wrong(Mistake::Time);
        }
        self.moment(seconds, nanos as u32 / 1000);
        Some(rest)
    }

    /// With microseconds, unless there are none.
    fn moment(&mut self, seconds: i64, micros: u32) {
        let (year, month, day) = date(seconds.div_euclid(86_400));
        let second = seconds.rem_euclid(86_400) as u32;
        let window = self.writer.window();
        window[..34].copy_from_slice(b"\"0000-00-00T00:00:00.000000+00:00\"");
        let mut pair = |at: usize, value: u32| {
            window[at] = b'0' + (value / 10) as u8;
            window[at + 1] = b'0' + (value % 10) as u8;
        };
        pair(1, year / 100);
        pair(3, year % 100);
        pair(6, month);
        pair(9, day);
        pair(12, second / 3600);
        pair(15, second / 60 % 60);
        pair(18, second % 60);
        if micros == 0 {
            window[20..27].copy_from_slice(b"+00:00\"");
            self.writer.advance(27);
        } else {
            pair(21, micros / 10_000);
            pair(23, micros / 100 % 100);
            pair(25, micros % 100);
            self.writer.advance(34);
        }
    }
}

/// The date of a day, which is counted from 1970-01-01. Years are counted from March on, so that the
/// leap day is a year's last, and repeat every 400 years.
fn date(day: i64) -> (u32, u32, u32) {
    let day = day + EPOCH;
    let (cycle, day) = (day.div_euclid(CYCLE), day.rem_euclid(CYCLE));
    let leap_days = day / 1_460 - day / 36_524 + day / (CYCLE - 1);
    let year = (day - leap_days) / 365;
    let day = day - (year * 365 + year / 4 - year / 100);
    let month = (day * 5 + 2) / 153;
    let day = day - (month * 153 + 2) / 5 + 1;
    let (year, month) = if month < 10 {
        (year, month + 3)
    } else {
        (year + 1, month - 9)
    };
    ((cycle * 400 + year) as u32, month as u32, day as u32)
}
