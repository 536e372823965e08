//! Security event tokens (RFC 8417) as they are pushed: one signed token, by the issuer and for the audience that were agreed.

use keywatch_store::Instant;
use serde_json::Value;

use super::{Algorithm, Keys, Refused, compact};
use crate::limits::SIGNED_SECONDS_MAX;

/// Who a token has to be of, and for whom.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The keys of the issuer.
    pub keys: Keys,
    /// The algorithms it signs with.
    pub algorithms: Vec<Algorithm>,
    /// `iss`, letter by letter.
    pub issuer: String,
    /// `aud`, or one of them.
    pub audience: String,
}

/// Checks signature, type, issuer, audience and time. When it was issued is not limited: what could not be delivered is
/// delivered later, and is the same event by its `jti`.
///
/// # Errors
/// As [`compact`], or a claim is another's.
pub fn security_event(expected: &Expected, token: &[u8], now: Instant) -> Result<(), Refused> {
    let token = std::str::from_utf8(token).map_err(|_| Refused::because("the token must be ASCII"))?;
    let (header, payload) = compact(&expected.keys, &expected.algorithms, token)?;
    if header.get("typ").and_then(Value::as_str) != Some("secevent+jwt") {
        return Err(Refused::because("the header's `typ` must be `secevent+jwt`"));
    }
    let claims = crate::feeds::strict_json(&payload).map_err(|_| Refused::because("the payload is no JSON"))?;
    if claims.get("iss").and_then(Value::as_str) != Some(expected.issuer.as_str()) {
        return Err(Refused::because("`iss` is not the issuer that was agreed"));
    }
    let own = |audience: &Value| audience.as_str() == Some(expected.audience.as_str());
    let is_for_us = match claims.get("aud") {
        Some(Value::Array(audiences)) => audiences.iter().any(own),
        Some(audience) => own(audience),
        None => false,
    };
    if !is_for_us {
        return Err(Refused::because("`aud` is not the audience that was agreed"));
    }
    let issued = claims.get("iat").and_then(Value::as_i64);
    let issued = issued.ok_or_else(|| Refused::because("`iat` must be unix seconds"))?;
    if issued > now.unix_seconds().saturating_add(i64::try_from(SIGNED_SECONDS_MAX).unwrap_or(i64::MAX)) {
        return Err(Refused::because("`iat` is in the future"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    use ring::rand::SystemRandom;
    use ring::signature::{Ed25519KeyPair, KeyPair};
    use serde_json::json;

    use super::*;

    fn key() -> Ed25519KeyPair {
        Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap().as_ref()).unwrap()
    }

    fn token(key: &Ed25519KeyPair, typ: &str, claims: &Value) -> String {
        let header = json!({"alg": "EdDSA", "kid": "k", "typ": typ});
        let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        format!("{signed}.{}", BASE64.encode(key.sign(signed.as_bytes())))
    }

    #[test]
    fn a_token_is_of_its_issuer_and_for_its_audience() {
        let key = key();
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": BASE64.encode(key.public_key())});
        let expected = Expected {
            keys: Keys::parse(json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap(),
            algorithms: vec![Algorithm::EdDsa],
            issuer: "https://idp.example".into(),
            audience: "https://keywatch.example".into(),
        };
        let now = Instant::from_unix_seconds(1_740_116_560).unwrap();
        let check =
            |token: &str| security_event(&expected, token.as_bytes(), now).map_err(|refused| refused.to_string());
        let good = json!({"iss": "https://idp.example", "aud": "https://keywatch.example", "iat": 1_740_000_000});
        let with = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            claims
        };
        assert_eq!(check(&token(&key, "secevent+jwt", &good)), Ok(()));
        let several = with("aud", json!(["https://other.example", "https://keywatch.example"]));
        assert_eq!(check(&token(&key, "secevent+jwt", &several)), Ok(()));
        for (claims, said) in [
            (with("iss", json!("https://idp.example/")), "`iss`"),
            (with("iss", json!(null)), "`iss`"),
            (with("aud", json!("https://other.example")), "`aud`"),
            (with("aud", json!([])), "`aud`"),
            (with("aud", json!(null)), "`aud`"),
            (with("iat", json!(1_740_116_861)), "future"),
            (with("iat", json!("now")), "unix seconds"),
        ] {
            let refused = check(&token(&key, "secevent+jwt", &claims)).unwrap_err();
            assert!(refused.contains(said), "{claims}: {refused}");
        }
        assert!(check(&token(&key, "at+jwt", &good)).unwrap_err().contains("secevent+jwt"));
        assert!(check(&token(&self::key(), "secevent+jwt", &good)).unwrap_err().contains("not of these bytes"));
        assert!(security_event(&expected, &[0xff], now).is_err());
    }
}
