//! Moments for the oracle: counted day by day rather than by a formula.

/// As `google.protobuf.Timestamp`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Moment {
    pub(crate) seconds: i64,
    pub(crate) nanos: i32,
}

impl Moment {
    /// One that can be written down.
    pub(crate) fn new(seconds: i64, nanos: i32) -> Option<Self> {
        let first = -days_before(1970) * 86_400;
        let last = (days_before(10_000) - days_before(1970)) * 86_400 - 1;
        let exists = (first..=last).contains(&seconds) && (0..1_000_000_000).contains(&nanos);
        exists.then_some(Self { seconds, nanos })
    }

    /// `YYYY-MM-DDTHH:MM:SS[.f…](Z|±HH:MM)`, for moments that exist.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (date, time) = text.split_once('T')?;
        let [year, month, day] = fields(date, '-', [4, 2, 2])?;
        let offset_at = time.find(['Z', '+', '-'])?;
        let (clock, offset) = time.split_at(offset_at);
        let (clock, fraction) = match clock.split_once('.') {
            Some((clock, fraction)) => (clock, Some(fraction)),
            None => (clock, None),
        };
        let [hour, minute, second] = fields(clock, ':', [2, 2, 2])?;
        let months = months(year);
        let length = *months.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
        if day < 1 || day > length || hour > 23 || minute > 59 || second > 59 || year < 1 {
            // The year 0 could still become the year 1 by its offset: no such moment is taken.
            return None;
        }
        let nanos = match fraction {
            None => 0,
            Some(digits) if (1..=9).contains(&digits.len()) && all_digits(digits) => {
                format!("{digits:0<9}").parse().ok()?
            }
            Some(_) => return None,
        };
        let offset = match offset {
            "Z" => 0,
            offset => {
                let [hours, minutes] = fields(&offset[1..], ':', [2, 2])?;
                if hours > 23 || minutes > 59 {
                    return None;
                }
                let seconds = hours * 3600 + minutes * 60;
                if offset.starts_with('-') {
                    -seconds
                } else {
                    seconds
                }
            }
        };
        let days =
            days_before(year) + months.iter().take(month as usize - 1).sum::<i64>() + day - 1;
        let seconds =
            (days - days_before(1970)) * 86_400 + hour * 3600 + minute * 60 + second - offset;
        Self::new(seconds, nanos)
    }

    /// The form that Discord uses.
    pub(crate) fn render(self) -> String {
        let mut days = self.seconds.div_euclid(86_400) + days_before(1970);
        let second = self.seconds.rem_euclid(86_400);
        let mut year = 1 + days / 366;
        while days_before(year + 1) <= days {
            year += 1;
        }
        days -= days_before(year);
        let mut month = 1;
        for length in months(year) {
            if days < length {
                break;
            }
            days -= length;
            month += 1;
        }
        let fraction = match self.nanos / 1000 {
            0 => String::new(),
            micros => format!(".{micros:06}"),
        };
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let day = days + 1;
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}+00:00")
    }
}

fn months(year: i64) -> [i64; 12] {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    [
        31,
        if leap { 29 } else { 28 },
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ]
}

/// Days from 0001-01-01 to the first day of a year.
fn days_before(year: i64) -> i64 {
    let years = year - 1;
    years * 365 + years / 4 - years / 100 + years / 400
}

fn all_digits(text: &str) -> bool {
    text.chars().all(|char| char.is_ascii_digit())
}

/// Numbers of fixed lengths between separators.
fn fields<const N: usize>(text: &str, separator: char, lengths: [usize; N]) -> Option<[i64; N]> {
    let parts: Vec<&str> = text.split(separator).collect();
    let fits = parts.len() == N
        && parts
            .iter()
            .zip(lengths)
            .all(|(part, length)| part.len() == length && all_digits(part));
    let mut numbers = [0; N];
    if !fits {
        return None;
    }
    for (number, part) in numbers.iter_mut().zip(parts) {
        *number = part.parse().ok()?;
    }
    Some(numbers)
}
