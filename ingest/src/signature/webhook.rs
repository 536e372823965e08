//! Standard Webhooks (standardwebhooks.com, version 1): HMAC-SHA-256 over `<id>.<timestamp>.<body>`, keyed by what `whsec_`
//! precedes in base64. The time is an argument.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keywatch_store::Instant;
use ring::hmac;

use super::Refused;
use crate::limits::{SIGNATURES_MAX, SIGNED_SECONDS_MAX, SOURCE_ID_BYTES_MAX};

/// The headers of a message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// `webhook-id`: stays the same when the message is sent again.
    pub id: &'a str,
    /// `webhook-timestamp`: when this attempt was made, in unix seconds.
    pub timestamp: &'a str,
    /// `webhook-signature`: one or several, between spaces.
    pub signatures: &'a str,
}

/// The key in a secret as Standard Webhooks writes it.
///
/// # Errors
/// It does not begin with `whsec_`, or is no base64 of 24 to 64 bytes.
pub fn secret(text: &str) -> Result<Vec<u8>, Refused> {
    let encoded = text.trim().strip_prefix("whsec_");
    let encoded = encoded.ok_or_else(|| Refused::because("a secret must begin with `whsec_`"))?;
    let key = STANDARD.decode(encoded).map_err(|_| Refused::because("what follows `whsec_` must be base64"))?;
    if !(24..=64).contains(&key.len()) {
        return Err(Refused::because(format!("a secret must have 24 to 64 bytes, this one has {}", key.len())));
    }
    Ok(key)
}

/// Checks that the message is the secret's and of now, and gives its time.
///
/// # Errors
/// A header is malformed, the time is more than [`SIGNED_SECONDS_MAX`] from `now`, or no signature is of these bytes.
pub fn standard(secret: &[u8], message: Message<'_>, body: &[u8], now: Instant) -> Result<Instant, Refused> {
    let Message { id, timestamp, signatures } = message;
    // With a full stop in it, one message could be cut into id and time in two ways.
    if id.is_empty() || id.len() > SOURCE_ID_BYTES_MAX || id.contains('.') {
        let reason = format!("`webhook-id` must be text without a full stop, at most {SOURCE_ID_BYTES_MAX} bytes");
        return Err(Refused::because(reason));
    }
    let time = time(timestamp).ok_or_else(|| Refused::because("`webhook-timestamp` must be unix seconds"))?;
    if now.unix_seconds().abs_diff(time.unix_seconds()) > SIGNED_SECONDS_MAX {
        let reason = format!("`webhook-timestamp` is more than {SIGNED_SECONDS_MAX} s from now");
        return Err(Refused::because(reason));
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let mut signed = hmac::Context::with_key(&key);
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        signed.update(part);
    }
    let expected = signed.sign();
    let listed = signatures.split(' ').take(SIGNATURES_MAX).filter_map(|one| one.strip_prefix("v1,"));
    let tags = listed.filter_map(|tag| STANDARD.decode(tag).ok());
    // A tag is compared by verifying a tag of the tags: in constant time, whatever was sent.
    let own = hmac::Key::new(hmac::HMAC_SHA256, expected.as_ref());
    let wanted = hmac::sign(&own, expected.as_ref());
    let found = tags.filter(|tag| hmac::verify(&own, tag, wanted.as_ref()).is_ok()).count();
    if found > 0 { Ok(time) } else { Err(Refused::because("it is not of these bytes")) }
}

/// Digits and nothing else, so that a time has one form only.
fn time(text: &str) -> Option<Instant> {
    let digits = !text.is_empty() && text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    Instant::from_unix_seconds(text.parse().ok().filter(|_| digits)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    /// The example of the specification's reference implementation.
    const MESSAGE: Message<'_> = Message {
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp: "1614265330",
        signatures: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    };

    fn check(message: Message<'_>, body: &[u8], seconds: i64) -> Result<Instant, String> {
        let now = Instant::from_unix_seconds(1_614_265_330 + seconds).unwrap();
        standard(&secret(SECRET).unwrap(), message, body, now).map_err(|refused| refused.to_string())
    }

    #[test]
    fn a_message_of_the_secret_is_taken_within_its_window() {
        for seconds in [0, 300, -300] {
            assert_eq!(check(MESSAGE, BODY, seconds).unwrap().unix_seconds(), 1_614_265_330);
        }
        for seconds in [301, -301, 86_400] {
            assert!(check(MESSAGE, BODY, seconds).unwrap_err().contains("from now"));
        }
    }

    #[test]
    fn one_of_several_signatures_is_enough() {
        let two = format!("v1a,AAAA v1,AAAA {}", MESSAGE.signatures);
        assert!(check(Message { signatures: &two, ..MESSAGE }, BODY, 0).is_ok());
        let many = format!("{}{}", "v1,AAAA ".repeat(SIGNATURES_MAX), MESSAGE.signatures);
        assert!(check(Message { signatures: &many, ..MESSAGE }, BODY, 0).is_err());
    }

    #[test]
    fn anything_else_is_refused() {
        for (message, body, said) in [
            (Message { id: "msg_other", ..MESSAGE }, BODY, "not of these bytes"),
            (Message { timestamp: "1614265331", ..MESSAGE }, BODY, "not of these bytes"),
            (MESSAGE, br#"{"test": 2432232315}"#.as_slice(), "not of these bytes"),
            (Message { signatures: "", ..MESSAGE }, BODY, "not of these bytes"),
            (Message { signatures: "v1,!", ..MESSAGE }, BODY, "not of these bytes"),
            (Message { signatures: &MESSAGE.signatures[3..], ..MESSAGE }, BODY, "not of these bytes"),
            (Message { id: "", ..MESSAGE }, BODY, "webhook-id"),
            (Message { id: "msg.1", ..MESSAGE }, BODY, "webhook-id"),
            (Message { timestamp: "+1614265330", ..MESSAGE }, BODY, "unix seconds"),
            (Message { timestamp: "", ..MESSAGE }, BODY, "unix seconds"),
            (Message { timestamp: "9999999999999", ..MESSAGE }, BODY, "unix seconds"),
        ] {
            let refused = check(message, body, 0).unwrap_err();
            assert!(refused.contains(said), "{message:?}: {refused}");
        }
    }

    #[test]
    fn a_secret_is_as_it_is_written() {
        for (text, said) in [("MfKQ", "whsec_"), ("whsec_!", "base64"), ("whsec_AAAA", "24 to 64"), ("", "whsec_")] {
            assert!(secret(text).unwrap_err().to_string().contains(said), "{text}");
        }
    }
}
