//! Which addresses may be read from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

use crate::Refusal;

/// From where something may be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Places {
    /// From any address, the machine's own ones included.
    Any,
    /// From none.
    None,
    /// From this one alone.
    Only(IpAddr),
    /// From those of the internet.
    Public,
}

impl boot::Parse for Places {
    fn expected() -> String {
        "public, any or none".to_owned()
    }

    fn parse(text: &str) -> Result<Self, boot::config::Invalid> {
        match text {
            "any" => Ok(Self::Any),
            "none" => Ok(Self::None),
            "public" => Ok(Self::Public),
            _ => Err(boot::config::Invalid::new()),
        }
    }
}

impl Places {
    /// Whether an address is one of them.
    #[must_use]
    pub fn has(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::None => false,
            Self::Only(one) => address == one,
            Self::Public => is_public(address),
        }
    }

    /// Reads an address, relative to the one that led there. Names are looked at when they are resolved.
    ///
    /// # Errors
    ///
    /// When nothing may be read from there, as far as the address itself tells.
    pub fn url(self, text: &str, from: Option<&Url>) -> Result<Url, Refusal> {
        if self == Self::None {
            return Err(Refusal::Off);
        }
        let url = match from {
            Some(from) => from.join(text),
            None => Url::parse(text),
        };
        let url = url.map_err(|_| Refusal::Address)?;
        let host = url.host_str().unwrap_or_default();
        let is_plain = url.username().is_empty() && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || host.is_empty() || !is_plain {
            return Err(Refusal::Address);
        }
        // The resolver is not asked about an address that is written as a number.
        match host.trim_matches(['[', ']']).parse() {
            Ok(address) if !self.has(address) => Err(Refusal::Private),
            _ => Ok(url),
        }
    }
}

/// Whether an address is one of the internet's: neither this machine's, nor a private network's, nor
/// reserved.
///
/// See [IANA's registry for IPv4](https://www.iana.org/assignments/iana-ipv4-special-registry) and
/// [for IPv6](https://www.iana.org/assignments/iana-ipv6-special-registry).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => is_public_v4(inner),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let reserved = match address.octets() {
        [0 | 10 | 127 | 240..=255, ..] => true,
        // Carriers' own.
        [100, second, ..] => (64..128).contains(&second),
        // Where clouds tell a machine its secrets.
        [169, 254, ..] | [192, 168, ..] => true,
        [172, second, ..] => (16..32).contains(&second),
        [192, 0, 0 | 2, _] | [192, 88, 99, _] => true,
        [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => true,
        _ => address.is_multicast(),
    };
    !reserved
}

/// The address of IPv4 that one of IPv6 stands for: as such, or for a translator.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let translated = match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some((high, low)),
        _ => None,
    };
    let translated =
        translated.map(|(high, low)| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    address.to_ipv4_mapped().or(translated)
}

/// Of what is given out, `2000::/3`, all but tunnels, tests and examples.
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0x2001, second, ..] => second >= 0x200 && second != 0xdb8,
        [0x2002, ..] => false,
        [0x3fff, second, ..] => second >= 0x1000,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for public in [
            "1.1.1.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for public in [
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for private in [
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }

    #[test]
    fn an_address_that_is_none_or_private_is_refused() {
        let read = |text: &str| Places::Public.url(text, None).err();
        for fine in [
            "https://cdn.example/a.png?x=1",
            "http://1.1.1.1:8080/",
            "https://[2606:4700::1]/",
        ] {
            assert_eq!(read(fine), None, "{fine}");
        }
        for wrong in [
            "",
            "a.png",
            "file:///etc/passwd",
            "ftp://a.example/",
            "https://u:p@a.example/",
            "https://",
            "data:,x",
        ] {
            assert_eq!(read(wrong), Some(Refusal::Address), "{wrong}");
        }
        for private in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://[::1]/",
            "http://[::ffff:169.254.169.254]/",
            "https://10.1.2.3:443/x",
        ] {
            assert_eq!(read(private), Some(Refusal::Private), "{private}");
            assert_eq!(Places::Any.url(private, None).err(), None, "{private}");
        }
        assert_eq!(
            Places::None.url("https://a.example/", None),
            Err(Refusal::Off)
        );
    }

    #[test]
    fn where_an_address_leads_is_looked_at_again() {
        let from = Url::parse("https://a.example/b/c").unwrap();
        let led = |to: &str| Places::Public.url(to, Some(&from)).map(String::from);
        assert_eq!(led("../d"), Ok("https://a.example/d".to_owned()));
        assert_eq!(led("//10.0.0.1/d"), Err(Refusal::Private));
        assert_eq!(led("file:///d"), Err(Refusal::Address));
    }
}
