//! `GET /v1/stream/<feed>`: a WebSocket (RFC 6455) on which a source that stays connected sends batches, each answered once
//! it is durable. Who may open one is asked as for `POST /v1/ingest`, before the upgrade; signed requests have no stream,
//! since nothing would sign what comes later.
//!
//! | module | what it does |
//! |---|---|
//! | here | the handshake |
//! | [`session`] | messages in, answers out, pings, and why it ends |
//! | [`message`] | how messages are written |
//! | [`metered`] | bytes as they come: memory and time |
//!
//! Nothing is remembered of a stream that has ended: a sender repeats what was not acknowledged, and the log skips what it
//! has already by its id, as with every other request.

pub(crate) mod message;
mod metered;
mod session;

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::ingest::{address_of, admit, check_feed, fail, show};
use super::listener::Caller;
use super::refusal::Refusal;
use super::server::Server;
use message::PROTOCOL;
use session::Session;

/// The route.
pub(super) async fn open(State(server): State<Arc<Server>>, Path(feed): Path<String>, request: Request) -> Response {
    upgrade(&server, &feed, request).unwrap_or_else(|refusal| server.refuse(refusal))
}

fn upgrade(server: &Arc<Server>, feed: &str, mut request: Request) -> Result<Response, Refusal> {
    let upgraded = hyper::upgrade::on(&mut request);
    let (head, _) = request.into_parts();
    let caller = head.extensions.get::<Caller>();
    let now = Instant::now();
    if let Some(address) = address_of(caller) {
        server.addresses.request(address, now).map_err(Refusal::Crowded)?;
    }
    let shown = show(caller, &head);
    let known = shown.as_ref().and_then(|shown| server.recognise(shown));
    let (Some(credential), Some(shown)) = (known, shown) else {
        return Err(fail(
            server,
            caller,
            "valid credentials are needed: a bearer token or a client certificate".to_owned(),
        ));
    };
    check_feed(&credential, feed)?;
    // A route for GET answers HEAD too.
    let asked =
        if head.method == Method::GET { accept(&head.headers) } else { Err("a stream is opened with GET".to_owned()) };
    let accepted = asked.map_err(Refusal::Broken)?;
    // Opening one costs what a request costs; the turn is over with the answer.
    let _turn = credential.turns().request(now)?;
    let places = credential.turns().stream(&server.shared)?;
    let Some(caller) = caller.cloned() else {
        return Err(Refusal::Unavailable("streams are served by the front door alone".to_owned()));
    };
    let server = Arc::clone(server);
    tokio::spawn(async move {
        // Who has hung up before the answer has no stream.
        let Ok(upgraded) = upgraded.await else { return };
        admit(Some(&caller));
        Session::new(server, (credential, shown), caller).run(TokioIo::new(upgraded)).await;
        drop(places);
    });
    Ok(accepted)
}

/// The answer that switches protocols, or what the request lacks (RFC 6455 §4.2.1).
fn accept(headers: &HeaderMap) -> Result<Response, String> {
    let has = |name: HeaderName, wanted: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(wanted))
    };
    if !has(header::CONNECTION, "upgrade") || !has(header::UPGRADE, "websocket") {
        return Err("this is a WebSocket: ask for `Upgrade: websocket`, or send with POST /v1/ingest".to_owned());
    }
    if !has(header::SEC_WEBSOCKET_VERSION, "13") {
        return Err("the version of the WebSocket protocol is 13".to_owned());
    }
    if !has(header::SEC_WEBSOCKET_PROTOCOL, PROTOCOL) {
        return Err(format!("ask for the sub-protocol `{PROTOCOL}` (Sec-WebSocket-Protocol)"));
    }
    // A browser says so, and would show a certificate for whatever page asks it to.
    if headers.contains_key(header::ORIGIN) {
        return Err("web pages have no streams (Origin)".to_owned());
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).filter(|key| key.len() == 24);
    let key = key.ok_or("a key of 16 bytes in base64 is needed (Sec-WebSocket-Key)")?;
    let switched = [
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL)),
    ];
    let mut answer = (StatusCode::SWITCHING_PROTOCOLS, switched).into_response();
    let derived = HeaderValue::from_str(&derive_accept_key(key)).map_err(|error| error.to_string())?;
    answer.headers_mut().insert(header::SEC_WEBSOCKET_ACCEPT, derived);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The request of RFC 6455 §1.3, with keywatch's sub-protocol.
    fn request(changes: &[(HeaderName, Option<&'static str>)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let whole = [
            (header::CONNECTION, Some("keep-alive, Upgrade")),
            (header::UPGRADE, Some("websocket")),
            (header::SEC_WEBSOCKET_VERSION, Some("13")),
            (header::SEC_WEBSOCKET_PROTOCOL, Some("chat, keywatch.stream.v1")),
            (header::SEC_WEBSOCKET_KEY, Some("dGhlIHNhbXBsZSBub25jZQ==")),
        ];
        for (name, value) in whole.iter().chain(changes) {
            headers.remove(name);
            if let Some(value) = *value {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        headers
    }

    #[test]
    fn a_handshake_is_answered_as_the_standard_says() {
        let answer = accept(&request(&[])).unwrap();
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(answer.headers()[header::SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(answer.headers()[header::SEC_WEBSOCKET_PROTOCOL], PROTOCOL);
    }

    #[test]
    fn what_a_handshake_lacks_is_named() {
        for (name, value, said) in [
            (header::CONNECTION, Some("close"), "Upgrade"),
            (header::UPGRADE, None, "Upgrade"),
            (header::SEC_WEBSOCKET_VERSION, Some("8"), "13"),
            (header::SEC_WEBSOCKET_PROTOCOL, Some("keywatch.stream.v2"), PROTOCOL),
            (header::SEC_WEBSOCKET_KEY, Some("short"), "Sec-WebSocket-Key"),
            (header::ORIGIN, Some("https://example.com"), "web pages"),
        ] {
            let refused = accept(&request(&[(name, value)])).unwrap_err();
            assert!(refused.contains(said), "{refused}");
        }
    }
}
