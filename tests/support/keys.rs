//! Keys on the curve P-256 for bundles, new ones each time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

/// A `SubjectPublicKeyInfo` of such a key up to the point (RFC 5480).
const PUBLIC_PREFIX: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200";

/// Both halves, PEM.
pub(crate) struct Pair {
    /// For who signs.
    pub(crate) private: String,
    /// For who verifies.
    pub(crate) public: String,
}

/// A new one.
pub(crate) fn pair() -> Pair {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
    let mut public = hex::decode(PUBLIC_PREFIX).unwrap();
    public.extend_from_slice(key.public_key().as_ref());
    Pair { private: pem("PRIVATE KEY", pkcs8.as_ref()), public: pem("PUBLIC KEY", &public) }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
