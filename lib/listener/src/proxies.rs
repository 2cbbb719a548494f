//! Who a caller is, behind proxies.

use std::net::IpAddr;

use boot::{Parse, config::Invalid};
use http::HeaderMap;

/// The header in which each proxy adds who has called it.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The addresses whose word counts about who called them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Proxies(Vec<Network>);

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Network {
    address: u128,
    /// How many bits count, of 128: an address of IPv4 is mapped.
    bits: u32,
}

impl Proxies {
    /// Who has called, where `peer` is who is at the other end of the connection.
    ///
    /// The last address in the header that is no proxy of ours: what stands in front of it can be written by anybody.
    #[must_use]
    pub fn caller(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut caller = peer;
        let values = headers.get_all(FORWARDED_FOR).iter().rev();
        let mut said = values.flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
        while self.trusts(caller) {
            // What is no address ends it: nobody knows who comes before.
            match said.next().and_then(|one| one.trim().parse().ok()) {
                Some(before) => caller = before,
                None => break,
            }
        }
        caller
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let address = number(address);
        let is_in = |network: &Network| {
            let rest = 128 - network.bits;
            rest == 128 || (address ^ network.address) >> rest == 0
        };
        self.0.iter().any(is_in)
    }
}

fn number(address: IpAddr) -> u128 {
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    address.into()
}

impl Parse for Proxies {
    fn expected() -> String {
        "addresses and networks, such as 10.0.0.0/8, 192.0.2.7".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let items: Vec<_> = text.split(',').map(|item| item.trim().to_owned()).collect();
        Self::parse_list(&items)
    }

    fn parse_list(items: &[String]) -> Result<Self, Invalid> {
        let networks = items.iter().map(|item| network(item));
        networks
            .collect::<Option<_>>()
            .map(Self)
            .ok_or_else(Invalid::new)
    }
}

fn network(text: &str) -> Option<Network> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let all = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(all);
    (bits <= all).then(|| Network {
        address: number(address),
        bits: 128 - all + bits,
    })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use boot::Parse as _;
    use http::{HeaderMap, HeaderValue};

    use super::Proxies;

    fn headers(lines: &[&str]) -> HeaderMap {
        let line = |text: &&str| {
            (
                "x-forwarded-for".parse().unwrap(),
                HeaderValue::from_str(text).unwrap(),
            )
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn what_a_proxy_says_counts_and_nothing_in_front_of_it() {
        let proxies = Proxies::parse("10.0.0.0/8, 192.0.2.7, 2001:db8::/32").unwrap();
        for (peer, said, caller) in [
            ("203.0.113.9", &["198.51.100.1"][..], "203.0.113.9"),
            ("10.1.2.3", &["198.51.100.1"], "198.51.100.1"),
            ("10.1.2.3", &["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
            (
                "10.1.2.3",
                &["6.6.6.6", "198.51.100.1, 10.9.9.9"],
                "198.51.100.1",
            ),
            ("10.1.2.3", &["198.51.100.1, nobody"], "10.1.2.3"),
            ("10.1.2.3", &[], "10.1.2.3"),
            ("10.1.2.3", &["192.0.2.7"], "192.0.2.7"),
            (
                "::ffff:10.1.2.3",
                &["2001:db9::1, 2001:db8::5"],
                "2001:db9::1",
            ),
            ("192.0.2.8", &["198.51.100.1"], "192.0.2.8"),
        ] {
            let peer: IpAddr = peer.parse().unwrap();
            let found = proxies.caller(peer, &headers(said));
            assert_eq!(found, caller.parse::<IpAddr>().unwrap(), "{peer} {said:?}");
        }
    }

    #[test]
    fn nobody_is_trusted_who_is_not_named() {
        let peer: IpAddr = "127.0.0.1".parse().unwrap();
        let found = Proxies::default().caller(peer, &headers(&["1.2.3.4"]));
        assert_eq!(found, peer);
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "host",
            "::/129",
            "10.0.0.0/-1",
        ] {
            assert!(Proxies::parse(text).is_err(), "{text}");
        }
        assert!(Proxies::parse("0.0.0.0/0, ::/0").is_ok());
    }
}
