//! MLS objects: proposals of the external sender, and key packages.

use openmls::prelude::{
    ExternalProposal, GroupEpoch, GroupId, KeyPackage, KeyPackageIn, LeafNodeIndex,
    MlsMessageBodyIn, MlsMessageIn, MlsMessageOut, SenderExtensionIndex,
    tls_codec::DeserializeBytes as _,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;

use super::{Refused, refused};

/// What the external sender signs proposals with.
pub(super) struct Signing<'a> {
    pub(super) group: GroupId,
    pub(super) epoch: GroupEpoch,
    pub(super) signer: &'a SignatureKeyPair,
}

impl Signing<'_> {
    pub(super) fn add(&self, package: KeyPackage) -> Result<MlsMessageOut, Refused> {
        let first = SenderExtensionIndex::new(0);
        ExternalProposal::new_add::<OpenMlsRustCrypto>(
            package,
            self.group.clone(),
            self.epoch,
            self.signer,
            first,
        )
        .map_err(refused)
    }

    pub(super) fn remove(&self, leaf: LeafNodeIndex) -> Result<MlsMessageOut, Refused> {
        let first = SenderExtensionIndex::new(0);
        ExternalProposal::new_remove::<OpenMlsRustCrypto>(
            leaf,
            self.group.clone(),
            self.epoch,
            self.signer,
            first,
        )
        .map_err(refused)
    }
}

/// A key package, alone or as a message.
pub(super) fn read_package(bytes: &[u8]) -> Result<KeyPackageIn, Refused> {
    // After the version a message has its format, a key package its ciphersuite.
    if bytes.get(2..4) == Some(&[0, 5]) {
        let (message, _) = MlsMessageIn::tls_deserialize_bytes(bytes).map_err(refused)?;
        return match message.extract() {
            MlsMessageBodyIn::KeyPackage(package) => Ok(package),
            _ => Err(Refused("a message that is no key package".to_owned())),
        };
    }
    KeyPackageIn::tls_deserialize_exact_bytes(bytes).map_err(refused)
}
