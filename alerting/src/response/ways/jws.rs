//! Keys that sign tokens in the compact form of RFC 7515: ES256 (P-256), `EdDSA` (ed25519) or RS256 (RSA of 2048 bits and more),
//! whichever the key is for. Reads no file.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

/// A private key that signs tokens.
pub struct TokenKey {
    id: String,
    pair: Pair,
    random: SystemRandom,
}

enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl TokenKey {
    /// Reads a private key in PKCS #8 form (`BEGIN PRIVATE KEY`), as `openssl genpkey` writes it. `id` is the `kid` that the
    /// receiver knows the public key by.
    ///
    /// # Errors
    /// What is wrong with it, without the key.
    pub fn from_pem(id: &str, pem: &str) -> Result<TokenKey, String> {
        if id.is_empty() || id.chars().any(char::is_control) {
            return Err("the id of a key may not be empty".to_owned());
        }
        let body = pem
            .split_once("-----BEGIN PRIVATE KEY-----")
            .and_then(|(_, rest)| rest.split_once("-----END PRIVATE KEY-----"))
            .map(|(body, _)| body.split_whitespace().collect::<String>())
            .ok_or("not a private key in PEM form (`BEGIN PRIVATE KEY`)")?;
        let der = STANDARD.decode(body).map_err(|_| "its PEM holds no base64")?;
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der, &random)
            .map(Pair::P256)
            .or_else(|_| Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map(Pair::Ed25519))
            .or_else(|_| RsaKeyPair::from_pkcs8(&der).map(|pair| Pair::Rsa(Box::new(pair))))
            .map_err(|_| "neither a P-256, nor an ed25519, nor an RSA key of 2048 bits and more in PKCS #8 form")?;
        Ok(TokenKey { id: id.to_owned(), pair, random })
    }

    /// `alg` of its tokens.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::P256(_) => "ES256",
            Pair::Ed25519(_) => "EdDSA",
            Pair::Rsa(_) => "RS256",
        }
    }

    /// The token of these claims, of that type.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn sign(&self, typ: &str, claims: &Value) -> Result<String, String> {
        let header = json!({ "alg": self.algorithm(), "typ": typ, "kid": self.id });
        let [header, claims] = [&header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = self.signature(signed.as_bytes()).ok_or("the system gives no random numbers to sign with")?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn signature(&self, signed: &[u8]) -> Option<Vec<u8>> {
        match &self.pair {
            Pair::P256(pair) => Some(pair.sign(&self.random, signed).ok()?.as_ref().to_vec()),
            Pair::Ed25519(pair) => Some(pair.sign(signed).as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &self.random, signed, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, KeyPair, UnparsedPublicKey, VerificationAlgorithm};

    use super::*;

    fn pem(der: &[u8]) -> String {
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der))
    }

    fn verifies(key: &TokenKey, algorithm: &'static dyn VerificationAlgorithm, public: &[u8]) -> Value {
        let token = key.sign("secevent+jwt", &json!({ "iss": "keywatch" })).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(algorithm, public).verify(signed.as_bytes(), &signature).unwrap();
        let header = signed.split_once('.').unwrap().0;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
    }

    #[test]
    fn a_key_signs_with_the_algorithm_that_it_is_for() {
        let random = SystemRandom::new();
        let p256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, p256.as_ref(), &random).unwrap();
        let key = TokenKey::from_pem("k-1", &pem(p256.as_ref())).unwrap();
        let header = verifies(&key, &ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
        assert_eq!(header, json!({ "alg": "ES256", "typ": "secevent+jwt", "kid": "k-1" }));

        let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(ed25519.as_ref()).unwrap();
        let key = TokenKey::from_pem("k-2", &pem(ed25519.as_ref())).unwrap();
        let header = verifies(&key, &ED25519, pair.public_key().as_ref());
        assert_eq!(header["alg"], "EdDSA");
    }

    #[test]
    fn what_is_no_key_is_refused_and_never_shown() {
        for text in ["c2VjcmV0", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----", &pem(b"secret")] {
            let error = TokenKey::from_pem("k", text).err().unwrap();
            assert!(!error.contains("c2VjcmV0"), "{error}");
        }
        assert!(TokenKey::from_pem("", &pem(b"secret")).is_err());
    }
}
