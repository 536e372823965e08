//! SCRAM-SHA-256 (RFC 5802, RFC 7677) as a server: neither the password nor anything it could be guessed from in less time
//! goes over the wire. Pure but for the nonces. Without TLS there is no channel to bind to.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use pgwire::api::ClientInfo;
use pgwire::api::auth::mechanism::{AuthMechanism, AuthState};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::startup::{Authentication, PasswordMessageFamily};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::User;

/// As PostgreSQL.
const ITERATIONS: u32 = 4096;
const METHOD: &str = "SCRAM-SHA-256";

type Digest32 = [u8; 32];

/// What is kept of a password.
#[derive(Clone)]
pub(super) struct Verifier {
    salt: [u8; 16],
    stored_key: Digest32,
    server_key: Digest32,
}

impl Verifier {
    /// Of a password, with a salt of its own.
    pub(super) fn of(password: &str) -> anyhow::Result<Verifier> {
        Ok(Verifier::salted(password, random()?))
    }

    /// Of nobody: no password has it.
    pub(super) fn nobody() -> anyhow::Result<Verifier> {
        Ok(Verifier { salt: random()?, stored_key: random()?, server_key: random()? })
    }

    fn salted(password: &str, salt: [u8; 16]) -> Verifier {
        let salted = stretched(password.as_bytes(), &salt);
        let client_key = mac(&salted, &[b"Client Key"]);
        let server_key = mac(&salted, &[b"Server Key"]);
        Verifier { salt, stored_key: Sha256::digest(client_key).into(), server_key }
    }
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
    Ok(bytes)
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Digest32 {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// `Hi` of RFC 5802.
fn stretched(password: &[u8], salt: &[u8]) -> Digest32 {
    let mut turn = mac(password, &[salt, &1_u32.to_be_bytes()]);
    let mut all = turn;
    for _ in 1..ITERATIONS {
        turn = mac(password, &[&turn]);
        all.iter_mut().zip(turn).for_each(|(all, turn)| *all ^= turn);
    }
    all
}

/// One client's proof.
pub(super) struct Scram {
    user: Option<Arc<User>>,
    name: String,
    verifier: Verifier,
    sent: Option<Sent>,
}

/// What was said so far.
struct Sent {
    /// The client's first message without the header, the server's first.
    said: String,
    header: String,
    nonce: String,
}

impl Scram {
    /// For a client that says it is `name`; the verifier is nobody's where there is no such user.
    pub(super) fn new(name: &str, user: Option<Arc<User>>, nobody: &Verifier) -> Scram {
        let verifier = match &user {
            Some(user) => user.verifier.clone(),
            // The same salt each time, as a real user has.
            None => Verifier { salt: pretended(nobody, name), ..nobody.clone() },
        };
        Scram { user, name: name.to_owned(), verifier, sent: None }
    }

    fn refused(&self) -> PgWireError {
        PgWireError::InvalidPassword(self.name.clone())
    }

    fn first(&mut self, message: &[u8], server_nonce: &str) -> PgWireResult<String> {
        let malformed = |what: &str| PgWireError::InvalidScramMessage(what.to_owned());
        let message = std::str::from_utf8(message).map_err(|_| malformed("not UTF-8"))?;
        let (header, bare) = ["n,,", "y,,"]
            .into_iter()
            .find_map(|header| Some((header, message.strip_prefix(header)?)))
            .ok_or_else(|| malformed("channel binding and authorization names are not taken"))?;
        let nonce = field(bare, 'r').filter(|nonce| !nonce.is_empty()).ok_or_else(|| malformed("no nonce"))?;
        let nonce = format!("{nonce}{server_nonce}");
        let reply = format!("r={nonce},s={},i={ITERATIONS}", STANDARD.encode(self.verifier.salt));
        self.sent = Some(Sent { said: format!("{bare},{reply}"), header: header.to_owned(), nonce });
        Ok(reply)
    }

    fn last(&mut self, message: &[u8]) -> PgWireResult<String> {
        let sent = self.sent.take().ok_or(PgWireError::InvalidSASLState)?;
        let message = std::str::from_utf8(message).map_err(|_| self.refused())?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or_else(|| self.refused())?;
        let bound = field(without_proof, 'c') == Some(STANDARD.encode(&sent.header).as_str());
        let answered = field(without_proof, 'r') == Some(sent.nonce.as_str());
        let proof: Digest32 =
            STANDARD.decode(proof).ok().and_then(|proof| proof.try_into().ok()).ok_or_else(|| self.refused())?;
        let said = format!("{},{without_proof}", sent.said);
        let signature = mac(&self.verifier.stored_key, &[said.as_bytes()]);
        let mut client_key = proof;
        client_key.iter_mut().zip(signature).for_each(|(key, signature)| *key ^= signature);
        let shown: Digest32 = Sha256::digest(client_key).into();
        let right = bool::from(shown.ct_eq(&self.verifier.stored_key));
        if !(right && bound && answered && self.user.is_some()) {
            return Err(self.refused());
        }
        Ok(format!("v={}", STANDARD.encode(mac(&self.verifier.server_key, &[said.as_bytes()]))))
    }
}

fn pretended(nobody: &Verifier, name: &str) -> [u8; 16] {
    let digest = mac(&nobody.server_key, &[name.as_bytes()]);
    std::array::from_fn(|index| digest[index])
}

/// The value of an attribute.
fn field(message: &str, name: char) -> Option<&str> {
    message.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

#[async_trait]
impl AuthMechanism<Arc<User>> for Scram {
    async fn begin(&mut self, _client: &(dyn ClientInfo + Send + Sync)) -> PgWireResult<AuthState<Arc<User>>> {
        Ok(AuthState::InProgress(Authentication::SASL(vec![METHOD.to_owned()])))
    }

    async fn next(
        &mut self,
        _client: &(dyn ClientInfo + Send + Sync),
        message: PasswordMessageFamily,
    ) -> PgWireResult<AuthState<Arc<User>>> {
        if self.sent.is_none() {
            let initial = message.into_sasl_initial_response()?;
            if initial.auth_method != METHOD {
                return Err(PgWireError::UnsupportedSASLAuthMethod(initial.auth_method));
            }
            let nonce: [u8; 18] = random().map_err(|error| PgWireError::ApiError(error.into()))?;
            let reply = self.first(initial.data.as_deref().unwrap_or_default(), &STANDARD.encode(nonce))?;
            return Ok(AuthState::InProgress(Authentication::SASLContinue(reply.into())));
        }
        let last = self.last(&message.into_sasl_response()?.data)?;
        Ok(AuthState::Ok { final_message: Some(Authentication::SASLFinal(last.into())), identity: self.user.take() })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Instant;

    use super::*;
    use crate::service::http::bucket::{Bucket, Rate};
    use crate::service::sql::tables::Scope;

    fn scram(user: bool) -> Scram {
        // The exchange that RFC 7677 shows.
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap().try_into().unwrap();
        let verifier = Verifier::salted("pencil", salt);
        let rate = Rate { per_second: 1, burst: 1 };
        let known = User {
            name: "user".into(),
            scope: Scope::default(),
            systems: Vec::new(),
            verifier: verifier.clone(),
            allowance: Mutex::new(Bucket::full(rate, Instant::now())),
            preparing: Mutex::new(Bucket::full(rate, Instant::now())),
        };
        Scram { user: user.then(|| Arc::new(known)), name: "user".into(), verifier, sent: None }
    }

    const FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const LAST: &str =
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    #[test]
    fn the_exchange_of_the_rfc_is_accepted() {
        let mut scram = scram(true);
        let first = scram.first(FIRST, NONCE).unwrap();
        assert_eq!(first, format!("r=rOprNGfwEbeRWgbNEkqO{NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
        assert_eq!(scram.last(LAST.as_bytes()).unwrap(), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn what_is_not_the_right_proof_is_refused() {
        let cases = [
            (true, LAST.replace("dHzb", "dHzc")),
            (true, LAST.replace("c=biws", "c=eSws")),
            (true, LAST.replace("$k0,", "$k1,")),
            (true, LAST.replace(",p=", ",q=")),
            (false, LAST.to_owned()),
        ];
        for (user, last) in cases {
            let mut scram = scram(user);
            scram.first(FIRST, NONCE).unwrap();
            assert!(scram.last(last.as_bytes()).is_err(), "{user} {last}");
        }
        assert!(scram(true).first(b"p=tls-unique,,n=,r=x", NONCE).is_err());
        assert!(scram(true).last(LAST.as_bytes()).is_err(), "there was no first message");
    }

    #[test]
    fn an_unknown_user_is_asked_as_a_known_one() {
        let nobody = Verifier::nobody().unwrap();
        let salt = |name| Scram::new(name, None, &nobody).verifier.salt;
        assert_eq!(salt("eve"), salt("eve"));
        assert_ne!(salt("eve"), salt("mallory"));
    }
}
