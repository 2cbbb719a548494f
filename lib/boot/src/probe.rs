//! `--health` and `--ready`: what a container's health check runs, where there is no other program than the service's own.

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use crate::plan::Answer;

/// How long each step may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The most that is read of an answer.
const LONGEST: u64 = 64 * 1024;

/// What the service is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Probe {
    /// Whether its threads do their work.
    Health,
    /// Whether nothing is missing for its work.
    Ready,
}

impl Probe {
    pub(crate) const ALL: [Self; 2] = [Self::Health, Self::Ready];

    /// The flag, without the dashes in front.
    pub(crate) const fn flag(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Ready => "ready",
        }
    }

    pub(crate) const fn help(self) -> &'static str {
        match self {
            Self::Health => {
                "Ask /healthz of the service that runs here, at ADMIN_ADDRESS, and exit: 0 when it is well"
            }
            Self::Ready => "The same with /readyz: 0 when it is ready",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Health => "/healthz",
            Self::Ready => "/readyz",
        }
    }
}

/// Asks whoever listens at this address, and says what was answered.
pub(crate) fn ask(address: SocketAddr, probe: Probe) -> Answer {
    let address = reachable(address);
    let asked = exchange(address, probe.path());
    let (text, is_well) = match asked {
        Ok((200, body)) => (body, true),
        Ok((status, body)) => (format!("{address}: {status}: {body}"), false),
        Err(error) => (format!("nothing answers at {address}: {error}"), false),
    };
    Answer {
        text: format!("{}\n", text.trim_end()),
        status: u8::from(!is_well),
    }
}

/// Who listens everywhere is reached here.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The status and the body that a GET is answered with.
fn exchange(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // In one piece: `write!` would send each part of it on its own.
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("what answers does not speak HTTP"))?;
    Ok((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader},
        net::TcpListener,
        thread,
    };

    use super::*;

    /// Something that answers one request so.
    fn server(answer: &'static str) -> (SocketAddr, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serving = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = String::new();
            let mut lines = BufReader::new(&stream);
            while !asked.ends_with("\r\n\r\n") {
                assert_ne!(lines.read_line(&mut asked).unwrap(), 0, "{asked}");
            }
            stream.write_all(answer.as_bytes()).unwrap();
            asked
        });
        (address, serving)
    }

    #[test]
    fn the_status_decides() {
        for (answer, status, text) in [
            ("HTTP/1.1 200 OK\r\n\r\nok", 0, "ok"),
            (
                "HTTP/1.1 503 Service Unavailable\r\n\r\n{\"ready\":false}",
                1,
                "503: {\"ready\":false}",
            ),
            ("nonsense", 1, "does not speak HTTP"),
            ("", 1, "does not speak HTTP"),
        ] {
            let (address, serving) = server(answer);
            let said = ask(address, Probe::Ready);
            assert!(
                serving
                    .join()
                    .unwrap()
                    .starts_with("GET /readyz HTTP/1.1\r\n")
            );
            assert_eq!(said.status, status, "{said:?}");
            assert!(said.text.contains(text), "{said:?}");
        }
    }

    #[test]
    fn who_listens_everywhere_is_asked_here() {
        let (address, serving) = server("HTTP/1.1 200 OK\r\n\r\nok");
        let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
        assert_eq!(ask(everywhere, Probe::Health).status, 0);
        assert!(serving.join().unwrap().starts_with("GET /healthz "));
    }

    #[test]
    fn where_nobody_listens_nothing_is_well() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let said = ask(address, Probe::Health);
        assert_eq!(said.status, 1);
        assert!(said.text.starts_with("nothing answers at "), "{said:?}");
    }
}
