//! Keys that sign bundles, and the token in `.signatures.json`: a JWS (RFC 7515) with ES256 over the hashes of all files.
//! The scope of a signature is the system, so that the bundle of one system is none for another. Reads no file.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::json;

use super::archive::Member;
use super::canonical;
use crate::Error;

/// A private key on the curve P-256.
pub struct SigningKey {
    id: String,
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl SigningKey {
    /// Reads a private key in PKCS #8 form, as `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` writes it.
    /// `id` is the name that decision points know the public key by.
    ///
    /// # Errors
    /// [`Error::BundleKey`] when it is no such key.
    pub fn from_pem(id: &str, pem: &str) -> Result<SigningKey, Error> {
        let refuse = |problem: &str| Error::BundleKey { key: id.to_owned(), problem: problem.to_owned() };
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
            return Err(refuse("its name may hold letters, digits, `-`, `_` and `.`"));
        }
        let body = pem
            .split_once("-----BEGIN PRIVATE KEY-----")
            .and_then(|(_, rest)| rest.split_once("-----END PRIVATE KEY-----"))
            .map(|(body, _)| body.split_whitespace().collect::<String>())
            .ok_or_else(|| refuse("not a private key in PEM form (`BEGIN PRIVATE KEY`)"))?;
        let der = STANDARD.decode(body).map_err(|_| refuse("its PEM holds no base64"))?;
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der, &random)
            .map_err(|_| refuse("not a PKCS #8 key on the curve P-256"))?;
        Ok(SigningKey { id: id.to_owned(), pair, random })
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The token over these files.
    pub(super) fn sign(&self, files: &[&Member], scope: &str, issued_at: i64) -> Result<String, Error> {
        let hashes: Vec<_> = files
            .iter()
            .map(|file| json!({ "name": file.name, "hash": file.sha256, "algorithm": "SHA-256" }))
            .collect();
        let header = canonical(&json!({ "alg": "ES256", "typ": "JWT", "kid": self.id }));
        let payload = canonical(&json!({ "files": hashes, "scope": scope, "iat": issued_at, "iss": "keywatch" }));
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.pair.sign(&self.random, signed.as_bytes()).map_err(|_| Error::BundleKey {
            key: self.id.clone(),
            problem: "the system gives no random numbers to sign with".to_owned(),
        })?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
