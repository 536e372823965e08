//! For whom a request is, where another process of keywatch hands it on: one that shares partitions asks those of its partitions for
//! everybody. It says for whom in a header, with a secret that it alone has given them, and takes that header from what comes from
//! outside. So an address that tries wrong tokens is limited in the processes of partitions too.

use std::fmt;
use std::io::BufRead;
use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderValue};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use subtle::ConstantTimeEq;

use super::address::Address;
use super::listener::Caller;

/// The header that says for whom.
pub(crate) const CALLER: &str = "keywatch-caller";

/// Bytes of the secret before they are written as hexadecimal digits.
const SECRET_BYTES: usize = 32;

/// What only the two processes know.
#[derive(Clone)]
pub(crate) struct Secret(Arc<str>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// A new one.
    ///
    /// # Errors
    /// There is no randomness on this machine.
    pub(crate) fn random() -> anyhow::Result<Secret> {
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| anyhow!("there is no randomness on this machine: {error}"))?;
        Ok(Secret(hex::encode(bytes).into()))
    }

    /// The first line of what the process that started this one writes.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub(crate) fn read(input: impl BufRead) -> anyhow::Result<Secret> {
        let mut line = String::new();
        let mut input = input.take(2 * SECRET_BYTES as u64 + 1);
        input.read_line(&mut line).context("cannot read from the process that shares partitions")?;
        let secret = line.strip_suffix('\n').filter(|text| text.len() == 2 * SECRET_BYTES);
        let secret = secret.context("--share: only a process with log.share_partitions starts one for a partition")?;
        Ok(Secret(secret.into()))
    }

    /// The line that is read.
    pub(crate) fn line(&self) -> String {
        format!("{}\n", self.0)
    }

    /// What the header is to say of a request; nothing where it is not limited by its address.
    pub(crate) fn header(&self, request: &Extensions) -> Option<HeaderValue> {
        let address = request.get::<Caller>()?.address?;
        let mut value = HeaderValue::from_str(&format!("{} {}", self.0, address.ip())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// The address that a header says.
    fn address(&self, header: &HeaderValue) -> Option<Address> {
        let (secret, ip) = header.to_str().ok()?.split_once(' ')?;
        let is_right: bool = self.0.as_bytes().ct_eq(secret.as_bytes()).into();
        ip.parse::<IpAddr>().ok().filter(|_| is_right).map(Address::of)
    }
}

/// Routes to which requests are handed on.
pub(crate) fn handed_on(routes: Router, secret: Secret) -> Router {
    routes.layer(from_fn_with_state(secret, take))
}

async fn take(State(secret): State<Secret>, mut request: Request, next: Next) -> Response {
    let said = request.headers_mut().remove(CALLER).and_then(|header| secret.address(&header));
    if let Some(caller) = request.extensions_mut().get_mut::<Caller>() {
        caller.address = said.or(caller.address);
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::extract::Extension;
    use axum::http::HeaderName;
    use axum::routing::get;
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;
    use tokio::sync::watch;

    use super::super::places::Places;
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Somebody at that address, where `127.0.0.1` stands for many.
    fn caller(from: &str) -> Caller {
        let (place, _) = Places::new(10, 10, vec![ip("127.0.0.1")]).enter(ip(from)).unwrap();
        Caller::new(place, watch::channel(false).1).0
    }

    /// The address that a route sees.
    async fn seen(secret: &Secret, header: Option<HeaderValue>) -> String {
        let show = |Extension(caller): Extension<Caller>, request: Request| async move {
            assert!(!request.headers().contains_key(CALLER));
            format!("{:?}", caller.address.map(Address::ip))
        };
        let routes = handed_on(Router::new().route("/", get(show)), secret.clone());
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(caller("127.0.0.1"));
        request.headers_mut().extend(header.map(|value| (HeaderName::from_static(CALLER), value)));
        let Ok(answer) = TowerToHyperService::new(routes).call(request).await;
        String::from_utf8(to_bytes(answer.into_body(), 1_000).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn p8_only_who_has_the_secret_says_for_whom_it_asks() {
        let (secret, other) = (Secret::random().unwrap(), Secret::random().unwrap());
        let mut request = Extensions::new();
        request.insert(caller("192.0.2.7"));
        assert_eq!(seen(&secret, secret.header(&request)).await, "Some(192.0.2.7)");
        for header in [other.header(&request), Some(HeaderValue::from_static(" 192.0.2.7")), None] {
            assert_eq!(seen(&secret, header).await, "None");
        }
        request.insert(caller("127.0.0.1"));
        assert!(secret.header(&request).is_none(), "a proxy stands for many");
    }

    #[test]
    fn a_secret_is_the_first_line_that_is_read() {
        let secret = Secret::random().unwrap();
        let line = format!("{}and more", secret.line());
        assert_eq!(Secret::read(line.as_bytes()).unwrap().0, secret.0);
        for wrong in ["", "\n", "short\n", &"0".repeat(65)] {
            assert!(Secret::read(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert_eq!(format!("{secret:?}"), "Secret");
    }
}
