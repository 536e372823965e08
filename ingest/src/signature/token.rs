//! Signed tokens by the issuer and for the audience that were agreed: security event tokens (RFC 8417) as they are pushed, and
//! bearer tokens by which people say who they are.

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
    let claims = claims_of(expected, &payload)?;
    let issued = claims.get("iat").and_then(Value::as_i64);
    let issued = issued.ok_or_else(|| Refused::because("`iat` must be unix seconds"))?;
    if issued > now.unix_seconds().saturating_add(i64::try_from(SIGNED_SECONDS_MAX).unwrap_or(i64::MAX)) {
        return Err(Refused::because("`iat` is in the future"));
    }
    Ok(())
}

/// The claims of a bearer token by which somebody says who they are: an access token (RFC 9068) or ID token. Its clock may
/// differ by the first of `seconds`, and it may be good for the second of them from now on, no longer.
///
/// # Errors
/// As [`compact`], or it is another's, for another, not yet good, or no longer.
pub fn bearer_token(
    expected: &Expected,
    token: &[u8],
    (skew, longest): (i64, i64),
    now: Instant,
) -> Result<Value, Refused> {
    let token = std::str::from_utf8(token).map_err(|_| Refused::because("the token must be ASCII"))?;
    let (header, payload) = compact(&expected.keys, &expected.algorithms, token)?;
    // A token that is signed for something else, a log-out or a proof of possession, says nothing of who holds it.
    let of_its_type = header.get("typ").is_none_or(|typ| {
        let typ = typ.as_str().unwrap_or_default().to_ascii_lowercase();
        ["jwt", "at+jwt", "application/at+jwt"].contains(&typ.as_str())
    });
    if !of_its_type {
        return Err(Refused::because("the header's `typ` must be `at+jwt` or `JWT`"));
    }
    let claims = claims_of(expected, &payload)?;
    let now = now.unix_seconds();
    let seconds = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => {
            value.as_i64().map(Some).ok_or_else(|| Refused::because(format!("`{name}` must be unix seconds")))
        }
    };
    let expires = seconds("exp")?.ok_or_else(|| Refused::because("`exp` must be there"))?;
    if expires.saturating_add(skew) <= now {
        return Err(Refused::because("it has expired"));
    }
    if expires > now.saturating_add(longest).saturating_add(skew) {
        return Err(Refused::because("it is good for longer than a token may be"));
    }
    for begins in ["nbf", "iat"] {
        if seconds(begins)?.is_some_and(|begins| begins > now.saturating_add(skew)) {
            return Err(Refused::because(format!("`{begins}` is in the future")));
        }
    }
    Ok(claims)
}

/// The claims of a token whose signature was checked, where it is of the issuer and for the audience that were agreed.
fn claims_of(expected: &Expected, payload: &[u8]) -> Result<Value, Refused> {
    let claims = crate::feeds::json::parse(payload).map_err(|_| Refused::because("the payload is no JSON"))?;
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
    Ok(claims)
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

    #[test]
    fn a_bearer_token_is_good_for_a_while_and_says_so() {
        let key = key();
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": BASE64.encode(key.public_key())});
        let expected = Expected {
            keys: Keys::parse(json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap(),
            algorithms: vec![Algorithm::EdDsa],
            issuer: "https://idp.example".into(),
            audience: "keywatch".into(),
        };
        let seconds = 1_740_116_560;
        let now = Instant::from_unix_seconds(seconds).unwrap();
        let check = |token: &str| {
            let claims = bearer_token(&expected, token.as_bytes(), (60, 86_400), now);
            claims.map(|claims| claims["sub"].clone()).map_err(|refused| refused.to_string())
        };
        let good = json!({"iss": "https://idp.example", "aud": "keywatch", "exp": seconds + 300, "sub": "erin"});
        let with = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            claims
        };
        for typ in ["at+jwt", "application/at+jwt", "JWT"] {
            assert_eq!(check(&token(&key, typ, &good)), Ok(json!("erin")), "{typ}");
        }
        for claims in [
            with("exp", json!(seconds - 59)),
            with("exp", json!(seconds + 86_460)),
            with("nbf", json!(seconds + 60)),
            with("iat", json!(seconds + 60)),
        ] {
            assert_eq!(check(&token(&key, "JWT", &claims)), Ok(json!("erin")), "{claims}");
        }
        for (claims, said) in [
            (with("exp", json!(seconds - 60)), "expired"),
            (with("exp", json!(seconds + 86_461)), "longer"),
            (with("exp", json!(null)), "`exp`"),
            (with("exp", json!("soon")), "`exp`"),
            (with("nbf", json!(seconds + 61)), "`nbf`"),
            (with("iat", json!(seconds + 61)), "`iat`"),
            (with("iss", json!("https://idp.example/")), "`iss`"),
            (with("aud", json!(["other"])), "`aud`"),
        ] {
            let refused = check(&token(&key, "JWT", &claims)).unwrap_err();
            assert!(refused.contains(said), "{claims}: {refused}");
        }
        let mut endless = good.clone();
        endless.as_object_mut().unwrap().remove("exp");
        assert!(check(&token(&key, "JWT", &endless)).unwrap_err().contains("`exp` must be there"));
        for typ in ["secevent+jwt", "logout+jwt", "dpop+jwt", ""] {
            assert!(check(&token(&key, typ, &good)).unwrap_err().contains("`typ`"), "{typ}");
        }
        let [head, body, _] =
            token(&key, "JWT", &good).split('.').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap();
        let none = BASE64.encode(json!({"alg": "none", "typ": "JWT"}).to_string());
        assert!(check(&format!("{none}.{body}.")).unwrap_err().contains("is not accepted"));
        assert!(check(&format!("{head}.{body}.")).is_err());
    }
}
