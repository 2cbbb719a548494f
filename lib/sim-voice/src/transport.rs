//! The encryption between a client and the voice server: both modes that Discord still takes.

use aes_gcm::{AeadInPlace, Aes256Gcm, KeyInit};
use chacha20poly1305::XChaCha20Poly1305;

use crate::rtp::Header;

/// Bytes of the counter at a packet's end.
const COUNTER: usize = 4;
/// Bytes of the tag before it.
const TAG: usize = 16;

/// An encryption mode.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    Aes256Gcm,
    XChaCha20Poly1305,
}

impl Mode {
    /// The mode of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "aead_aes256_gcm_rtpsize" => Some(Self::Aes256Gcm),
            "aead_xchacha20_poly1305_rtpsize" => Some(Self::XChaCha20Poly1305),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Aes256Gcm => "aead_aes256_gcm_rtpsize",
            Self::XChaCha20Poly1305 => "aead_xchacha20_poly1305_rtpsize",
        }
    }
}

/// Encrypts and decrypts with one key.
pub(crate) struct Cipher {
    algorithm: Algorithm,
    mode: Mode,
    counter: u32,
}

enum Algorithm {
    Aes(Box<Aes256Gcm>),
    ChaCha(Box<XChaCha20Poly1305>),
}

impl Cipher {
    pub(crate) fn new(mode: Mode, key: &[u8; 32]) -> Self {
        let algorithm = match mode {
            Mode::Aes256Gcm => Algorithm::Aes(Box::new(Aes256Gcm::new(key.into()))),
            Mode::XChaCha20Poly1305 => {
                Algorithm::ChaCha(Box::new(XChaCha20Poly1305::new(key.into())))
            }
        };
        Self {
            algorithm,
            mode,
            counter: 0,
        }
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// A packet: the header, the encrypted payload and its tag, the counter.
    pub(crate) fn seal(&mut self, header: &[u8], payload: &[u8]) -> Option<Vec<u8>> {
        let counter = self.counter.to_be_bytes();
        self.counter = self.counter.wrapping_add(1);
        let mut body = payload.to_vec();
        let tag = match &self.algorithm {
            Algorithm::Aes(cipher) => {
                let nonce = nonce::<12>(counter);
                cipher.encrypt_in_place_detached(&nonce.into(), header, &mut body)
            }
            Algorithm::ChaCha(cipher) => {
                let nonce = nonce::<24>(counter);
                cipher.encrypt_in_place_detached(&nonce.into(), header, &mut body)
            }
        };
        Some([header, &body, &tag.ok()?, &counter].concat())
    }

    /// A packet's payload, without the extension.
    pub(crate) fn open(&self, packet: &[u8], header: &Header) -> Option<Vec<u8>> {
        let (clear, rest) = packet.split_at_checked(header.clear)?;
        let (rest, counter) = rest.split_last_chunk::<COUNTER>()?;
        let (body, tag) = rest.split_last_chunk::<TAG>()?;
        let mut body = body.to_vec();
        let opened = match &self.algorithm {
            Algorithm::Aes(cipher) => {
                let nonce = nonce::<12>(*counter);
                cipher.decrypt_in_place_detached(&nonce.into(), clear, &mut body, tag.into())
            }
            Algorithm::ChaCha(cipher) => {
                let nonce = nonce::<24>(*counter);
                cipher.decrypt_in_place_detached(&nonce.into(), clear, &mut body, tag.into())
            }
        };
        opened.ok()?;
        (header.extension <= body.len()).then(|| body.split_off(header.extension))
    }
}

impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cipher")
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// The counter at the beginning, zeros after it.
fn nonce<const LENGTH: usize>(counter: [u8; COUNTER]) -> [u8; LENGTH] {
    let mut nonce = [0; LENGTH];
    nonce[..COUNTER].copy_from_slice(&counter);
    nonce
}

#[cfg(test)]
mod tests {
    use super::{Cipher, Mode};
    use crate::rtp::{Header, write};

    #[test]
    fn what_is_sealed_is_opened_in_both_modes() {
        for mode in [Mode::Aes256Gcm, Mode::XChaCha20Poly1305] {
            assert_eq!(Mode::named(mode.name()), Some(mode));
            let mut cipher = Cipher::new(mode, &[7; 32]);
            cipher.seal(&[0; 12], b"first").unwrap();
            let packet = cipher.seal(&write(1, 2, 3), b"opus").unwrap();
            assert_eq!(packet[packet.len() - 4..], [0, 0, 0, 1]);
            let header = Header::parse(&packet).unwrap();
            assert_eq!(cipher.open(&packet, &header).unwrap(), b"opus");
            let mut forged = packet.clone();
            forged[3] ^= 1;
            assert_eq!(
                cipher.open(&forged, &header),
                None,
                "the header is signed too"
            );
            assert_eq!(cipher.open(&packet[..20], &header), None);
        }
    }
}
