//! From the text of a value to its type.

use std::{fmt, net::SocketAddr, str::FromStr, time::Duration};

use secrecy::SecretString;

/// Why a value is not what was expected, when there is more to say than that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invalid {
    pub(super) detail: Option<String>,
}

impl Invalid {
    /// The value is not what [`Parse::expected`] says.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The value is not what [`Parse::expected`] says, and this is why. Not shown for secrets.
    pub fn because(detail: impl fmt::Display) -> Self {
        Self {
            detail: Some(detail.to_string()),
        }
    }
}

/// A type that a configuration value can have.
pub trait Parse: Sized {
    /// What is expected, as a noun: it completes "`x` is not …".
    fn expected() -> String;

    /// Reads one value.
    ///
    /// # Errors
    /// When the text is not what [`Parse::expected`] says.
    fn parse(text: &str) -> Result<Self, Invalid>;

    /// Reads a TOML array. Only lists accept one.
    ///
    /// # Errors
    /// When the type is no list, or one of the items is not what is expected.
    fn parse_list(_items: &[String]) -> Result<Self, Invalid> {
        Err(Invalid::because("one value is expected, not a list"))
    }
}

impl Parse for String {
    fn expected() -> String {
        "a text".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        Ok(text.to_owned())
    }
}

impl Parse for SecretString {
    fn expected() -> String {
        "a text".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        Ok(text.into())
    }
}

impl Parse for std::path::PathBuf {
    fn expected() -> String {
        "a path".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        Ok(text.into())
    }
}

impl Parse for bool {
    fn expected() -> String {
        "true or false".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        match text.to_ascii_lowercase().as_str() {
            "1" | "on" | "true" | "yes" => Ok(true),
            "0" | "false" | "no" | "off" => Ok(false),
            _ => Err(Invalid::new()),
        }
    }
}

impl Parse for SocketAddr {
    fn expected() -> String {
        "an address with a port, for example 127.0.0.1:9090".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        text.parse().map_err(|_| Invalid::new())
    }
}

impl Parse for f64 {
    fn expected() -> String {
        "a number".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let number: Self = text.parse().map_err(|_| Invalid::new())?;
        if number.is_finite() {
            Ok(number)
        } else {
            Err(Invalid::new())
        }
    }
}

macro_rules! integer {
    ($($type:ty)*) => {$(
        impl Parse for $type {
            fn expected() -> String {
                format!("a whole number from {} to {}", Self::MIN, Self::MAX)
            }

            fn parse(text: &str) -> Result<Self, Invalid> {
                text.parse().map_err(|_| Invalid::new())
            }
        }
    )*};
}

integer!(u8 u16 u32 u64 usize i32 i64);

impl Parse for Duration {
    fn expected() -> String {
        "a duration with a unit (ms, s, m, h or d), for example 250ms or 1m30s".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let mut rest = text;
        let mut total = Self::ZERO;
        while !rest.is_empty() {
            let (number, unit, after) = quantity(rest).ok_or_else(Invalid::new)?;
            let millis: u64 = match unit {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(Invalid::new()),
            };
            let part = number.checked_mul(millis).ok_or_else(Invalid::new)?;
            let part = Self::from_millis(part);
            total = total.checked_add(part).ok_or_else(Invalid::new)?;
            rest = after;
        }
        if text.is_empty() {
            return Err(Invalid::new());
        }
        Ok(total)
    }
}

/// A number of bytes, written with a unit: `512B`, `64KiB`, `16MiB`, `1GiB`, `10MB`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

impl Size {
    /// The number of bytes; on a machine with small addresses at most what it can address.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Debug for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        for (unit, name) in units {
            if self.0 != 0 && self.0.is_multiple_of(unit) {
                return write!(f, "{}{name}", self.0 / unit);
            }
        }
        write!(f, "{}B", self.0)
    }
}

impl Parse for Size {
    fn expected() -> String {
        "a size with a unit (B, kB, MB, GB, KiB, MiB or GiB), for example 16MiB".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let (number, unit, rest) = quantity(text).ok_or_else(Invalid::new)?;
        let factor: u64 = match unit.to_ascii_lowercase().as_str() {
            "b" => 1,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            _ => return Err(Invalid::new()),
        };
        if !rest.is_empty() {
            return Err(Invalid::new());
        }
        let bytes = number.checked_mul(factor).ok_or_else(Invalid::new)?;
        Ok(Self(bytes))
    }
}

/// Lists are separated by commas, or arrays in TOML.
impl<T: Parse> Parse for Vec<T> {
    fn expected() -> String {
        format!("a list in which each item is {}", T::expected())
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let items = text.split(',').map(str::trim);
        items.filter(|item| !item.is_empty()).map(item).collect()
    }

    fn parse_list(items: &[String]) -> Result<Self, Invalid> {
        items.iter().map(|text| item(text.trim())).collect()
    }
}

/// Any type that can be read from a string, with its own error as the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed<T>(pub T);

impl<T> Parse for Parsed<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    fn expected() -> String {
        "valid".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        text.parse().map(Self).map_err(Invalid::because)
    }
}

fn item<T: Parse>(text: &str) -> Result<T, Invalid> {
    T::parse(text).map_err(|invalid| match invalid.detail {
        Some(detail) => Invalid::because(format!("{text:?}: {detail}")),
        None => Invalid::because(format!("{text:?}")),
    })
}

/// Splits `30s rest` after the unit: number, unit, what follows.
fn quantity(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.find(|char: char| !char.is_ascii_digit())?;
    let (number, rest) = text.split_at(digits);
    let rest = rest.trim_start();
    let end = rest.find(|char: char| !char.is_ascii_alphabetic());
    let (unit, rest) = rest.split_at(end.unwrap_or(rest.len()));
    Some((number.parse().ok()?, unit, rest.trim_start()))
}
