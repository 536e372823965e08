//! Public keys of signers, authorities and logs, and what they verify. It knows neither bundles nor who a key belongs to.

use ring::digest;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, UnparsedPublicKey,
    VerificationAlgorithm,
};
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

const EC: &str = "1.2.840.10045.2.1";
const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";
const ED25519_KEY: &str = "1.3.101.112";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
    Ed25519,
}

/// A key on a curve that Sigstore signs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    curve: Curve,
    point: Vec<u8>,
    /// SHA-256 of the key as it is encoded, by which a log is known.
    pub(super) id: Vec<u8>,
}

impl Key {
    /// The key of a `SubjectPublicKeyInfo` (RFC 5280 §4.1); `None` for one of another type.
    pub(super) fn of(info: &SubjectPublicKeyInfo<'_>) -> Option<Key> {
        let parameters = info.algorithm.parameters.as_ref();
        let named = parameters.and_then(|parameters| Some(parameters.as_oid().ok()?.to_id_string()));
        let curve = match (info.algorithm.algorithm.to_id_string().as_str(), named.as_deref()) {
            (EC, Some(P256)) => Curve::P256,
            (EC, Some(P384)) => Curve::P384,
            (ED25519_KEY, None) => Curve::Ed25519,
            _ => return None,
        };
        let id = digest::digest(&digest::SHA256, info.raw).as_ref().to_vec();
        Some(Key { curve, point: info.subject_public_key.data.to_vec(), id })
    }

    /// The key in DER, with nothing after it.
    pub(super) fn from_der(der: &[u8]) -> Option<Key> {
        let (rest, info) = SubjectPublicKeyInfo::from_der(der).ok()?;
        if rest.is_empty() { Key::of(&info) } else { None }
    }

    /// Whether the signature is the key's over these bytes. With P-384 older signers hash with SHA-256.
    pub(super) fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        let algorithms: &[&'static dyn VerificationAlgorithm] = match self.curve {
            Curve::P256 => &[&ECDSA_P256_SHA256_ASN1],
            Curve::P384 => &[&ECDSA_P384_SHA384_ASN1, &ECDSA_P384_SHA256_ASN1],
            Curve::Ed25519 => &[&ED25519],
        };
        algorithms
            .iter()
            .any(|algorithm| UnparsedPublicKey::new(*algorithm, &self.point).verify(signed, signature).is_ok())
    }

    /// Whether the signature is the key's over bytes of which only the hash is known; `None` for Ed25519, which signs the
    /// bytes themselves.
    pub(super) fn verifies_hash(&self, hash: &[u8], signature: &[u8]) -> Option<bool> {
        use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
        let verified = match self.curve {
            Curve::Ed25519 => return None,
            Curve::P256 => p256::ecdsa::VerifyingKey::from_sec1_bytes(&self.point).is_ok_and(|key| {
                let signature = p256::ecdsa::Signature::from_der(signature);
                signature.is_ok_and(|signature| key.verify_prehash(hash, &signature).is_ok())
            }),
            Curve::P384 => p384::ecdsa::VerifyingKey::from_sec1_bytes(&self.point).is_ok_and(|key| {
                let signature = p384::ecdsa::Signature::from_der(signature);
                signature.is_ok_and(|signature| key.verify_prehash(hash, &signature).is_ok())
            }),
        };
        Some(verified)
    }
}
