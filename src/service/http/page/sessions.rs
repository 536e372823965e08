//! Who has signed in: sessions in memory, bounded in number and time. A restart ends them all.
//!
//! The cookie holds a random id, of which only the hash is kept, so that the time of a look-up tells nothing of it. Each session
//! has a token that every form has to bring along. Takes the time as an argument.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::limits::{PAGE_SESSION_SECONDS_MAX, PAGE_SESSIONS_MAX, PAGE_SESSIONS_OF_OPERATOR_MAX};
use crate::service::operators::Operator;

/// Bytes of an id or token.
const RANDOM_BYTES: usize = 32;

/// How long a session lasts at most.
pub(super) const SHIFT: Duration = Duration::from_secs(PAGE_SESSION_SECONDS_MAX);

/// A session.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// Who it is.
    pub(super) operator: Operator,
    /// What every form of it brings along.
    pub(super) token: String,
    /// Whether its sign-in stands in the log.
    written: Arc<AtomicBool>,
    begun: Instant,
    ends: Instant,
}

impl Session {
    /// Whether a form is one of this session's.
    pub(super) fn has(&self, token: &str) -> bool {
        self.token.as_bytes().ct_eq(token.as_bytes()).into()
    }

    /// Whether its sign-in stands in the log: without that, nothing is done in it.
    pub(super) fn is_written(&self) -> bool {
        self.written.load(Ordering::Acquire)
    }

    fn is_over(&self, now: Instant) -> bool {
        now >= self.ends
    }
}

/// All sessions, by the hash of their id.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

impl Sessions {
    /// Begins a session that lasts as long as `lasts` says, and never longer than a shift; its id, unless there is no randomness.
    /// `written` becomes true once its sign-in stands in the log.
    pub(super) fn begin(
        &self,
        operator: Operator,
        lasts: Duration,
        written: &Arc<AtomicBool>,
        now: Instant,
    ) -> Option<String> {
        let (id, token) = (random()?, random()?);
        let mut sessions = self.lock();
        sessions.retain(|_, session| !session.is_over(now));
        let own = |session: &Session| session.operator.name == operator.name;
        let owned = sessions.values().filter(|session| own(session)).count();
        let full = sessions.len() >= PAGE_SESSIONS_MAX;
        if full || owned >= PAGE_SESSIONS_OF_OPERATOR_MAX {
            // The oldest of the operator's own goes first: nobody signs another one out as long as that helps.
            let may_go = sessions.iter().filter(|(_, session)| full && owned == 0 || own(session));
            if let Some(oldest) = may_go.min_by_key(|(_, session)| session.begun).map(|(key, _)| *key) {
                sessions.remove(&oldest);
            }
        }
        let (written, ends) = (Arc::clone(written), now + lasts.min(SHIFT));
        sessions.insert(hash(&id), Session { operator, token, written, begun: now, ends });
        Some(id)
    }

    /// The session of that id, if it is not over.
    pub(super) fn find(&self, id: &str, now: Instant) -> Option<Session> {
        self.lock().get(&hash(id)).filter(|session| !session.is_over(now)).cloned()
    }

    /// Ends a session.
    pub(super) fn end(&self, id: &str) {
        self.lock().remove(&hash(id));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of the cookie. With the prefix, browsers take it over TLS and for this host alone.
pub(super) fn name(secure: bool) -> &'static str {
    if secure { "__Host-keywatch" } else { "keywatch" }
}

/// The id that a browser brings along. It has one with the prefix only if it came over TLS, whatever is known of that here.
pub(super) fn id(headers: &HeaderMap, secure: bool) -> Option<&str> {
    cookie(headers, name(true)).or_else(|| if secure { None } else { cookie(headers, name(false)) })
}

/// A cookie for scripts of no page and requests of no other site.
pub(super) fn set_cookie(name: &str, value: &str, secure: bool, seconds: u64) -> String {
    cookie_for("Strict", name, value, secure, seconds)
}

/// A cookie for scripts of no page, which a browser also brings along where another site sends it here.
pub(super) fn set_returning_cookie(name: &str, value: &str, secure: bool, seconds: u64) -> String {
    cookie_for("Lax", name, value, secure, seconds)
}

fn cookie_for(site: &str, name: &str, value: &str, secure: bool, seconds: u64) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; HttpOnly; SameSite={site}; Max-Age={seconds}{secure}")
}

/// The value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(of, _)| *of == name).map(|(_, value)| value)
}

/// Something that nobody guesses, in hexadecimal digits.
pub(super) fn random() -> Option<String> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes).ok()?;
    Some(hex::encode(bytes))
}

fn hash(id: &str) -> [u8; 32] {
    Sha256::digest(id).into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::service::authentication::Operators;
    use crate::service::operators::{Configured, Role};

    fn operator(name: &str) -> Operator {
        let configured = Configured {
            name: name.to_owned(),
            aliases: BTreeSet::new(),
            token_sha256: hex::encode(Sha256::digest(name)),
            roles: BTreeSet::from([Role::Analyst]),
            systems: BTreeSet::from(["*".to_owned()]),
            sql_password_file: None,
        };
        let operators = Operators::new(&[configured]).unwrap();
        operators.find(Some(format!("Bearer {name}").as_bytes())).unwrap().clone()
    }

    fn written() -> Arc<AtomicBool> {
        Arc::new(AtomicBool::new(true))
    }

    #[test]
    fn a_session_ends_by_itself_and_when_it_is_told_to() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let [one, other] = [(); 2].map(|()| sessions.begin(operator("ann"), Duration::MAX, &written(), now).unwrap());
        let session = sessions.find(&one, now).unwrap();
        assert!(session.has(&session.token) && !session.has("") && !session.has(&other));
        sessions.end(&other);
        assert!(sessions.find(&other, now).is_none() && sessions.find("nothing", now).is_none());
        let over = now + Duration::from_secs(PAGE_SESSION_SECONDS_MAX);
        assert!(
            sessions.find(&one, over.checked_sub(Duration::from_secs(1)).unwrap()).is_some()
                && sessions.find(&one, over).is_none()
        );
        let short = sessions.begin(operator("ann"), Duration::from_mins(5), &written(), now).unwrap();
        assert!(sessions.find(&short, now + Duration::from_secs(299)).is_some());
        assert!(sessions.find(&short, now + Duration::from_mins(5)).is_none());
    }

    #[test]
    fn p7_sessions_are_bounded_and_an_operator_signs_out_nobody_else() {
        let (sessions, begun) = (Sessions::default(), Instant::now());
        let quiet = sessions.begin(operator("bob"), SHIFT, &written(), begun).unwrap();
        for second in 1..=2 * PAGE_SESSIONS_OF_OPERATOR_MAX as u64 {
            sessions.begin(operator("ann"), SHIFT, &written(), begun + Duration::from_secs(second)).unwrap();
        }
        assert_eq!(sessions.lock().len(), 1 + PAGE_SESSIONS_OF_OPERATOR_MAX);
        assert!(sessions.find(&quiet, begun).is_some());
    }

    #[test]
    fn cookies_are_read_by_name_and_set_for_nobody_else() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "a=1; keywatch=abc; b=keywatch=x".parse().unwrap());
        assert_eq!(cookie(&headers, "keywatch"), Some("abc"));
        assert_eq!(cookie(&headers, "__Host-keywatch"), None);
        assert_eq!((id(&headers, false), id(&headers, true)), (Some("abc"), None));
        headers.insert(header::COOKIE, "keywatch=planted; __Host-keywatch=def".parse().unwrap());
        assert_eq!((id(&headers, false), id(&headers, true)), (Some("def"), Some("def")));
        let set = set_cookie(name(true), "abc", true, 60);
        assert_eq!(set, "__Host-keywatch=abc; Path=/; HttpOnly; SameSite=Strict; Max-Age=60; Secure");
        assert!(!set_cookie(name(false), "abc", false, 60).contains("Secure"));
        let returning = set_returning_cookie("keywatch-attempt", "abc", false, 60);
        assert_eq!(returning, "keywatch-attempt=abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=60");
    }
}
