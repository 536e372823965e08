//! The route that takes events in. Says who may speak, caps what they send, and answers only what is durable.
//!
//! It knows no format: the feed reads, the intake stores.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use keywatch_ingest::feeds;
use keywatch_ingest::limits::BODY_BYTES_MAX;
use keywatch_ingest::transport::body;
use keywatch_ingest::transport::cloudevents::Envelope;
use serde_json::json;

use super::address::{Address, Unproven as Stranger};
use super::body::receive;
use super::credentials::{Claim, Credential, Repeated, Shown, Unproven};
use super::form::Form;
use super::listener::Caller;
use super::refusal::Refusal;
use super::server::Server;
use super::turns::Busy;
use crate::clock;
use crate::limits::UNPROVEN_BODY_BYTES_MAX;
use crate::service::intake::Receipt;

/// What the address of a request names.
struct Target {
    feed: String,
    /// System and source.
    of: Option<(String, String)>,
}

/// `POST /v1/ingest/<feed>`.
pub(super) async fn ingest(State(server): State<Arc<Server>>, Path(feed): Path<String>, request: Request) -> Response {
    take(&server, &Target { feed, of: None }, request).await
}

/// `POST /v1/ingest/<feed>/<system>/<source>`.
pub(super) async fn ingest_of(
    State(server): State<Arc<Server>>,
    Path((feed, system, source)): Path<(String, String, String)>,
    request: Request,
) -> Response {
    take(&server, &Target { feed, of: Some((system, source)) }, request).await
}

async fn take(server: &Arc<Server>, target: &Target, request: Request) -> Response {
    let begun = Instant::now();
    let (head, body) = request.into_parts();
    let caller = head.extensions.get::<Caller>().cloned();
    if let Some(address) = address_of(caller.as_ref())
        && let Err(wait) = server.addresses.request(address, begun)
    {
        return server.refuse(Refusal::Crowded(wait));
    }
    let shown = show(caller.as_ref(), &head);
    let known = shown.as_ref().and_then(|shown| server.recognise(shown));
    let (credential, receipt) = if let (Some(credential), Some(shown)) = (known, shown) {
        admit(caller.as_ref());
        let receipt = take_known(server, (&credential, &shown), target, &head, body).await;
        (credential, receipt)
    } else {
        match take_signed(server, caller.as_ref(), target, &head, body).await {
            Ok(taken) => taken,
            Err(Turned { refusal, pushed: true }) => return refuse_token(server, refusal),
            Err(Turned { refusal, pushed: false }) => return server.refuse(refusal),
        }
    };
    let response = answer(server, &credential, receipt);
    let status = response.status();
    server.metrics().ingest_requests.with_label_values(&[credential.feed.name(), status.as_str()]).inc();
    server.metrics().ingest_latency.observe(&[credential.feed.name()], begun.elapsed());
    response
}

/// What the head of a request or its connection shows of who it is.
pub(super) fn show(caller: Option<&Caller>, head: &Parts) -> Option<Shown> {
    match head.headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes) {
        Some(authorization) => Shown::token(authorization),
        None => caller?.certificate.clone().map(Shown::Certificate),
    }
}

/// Whose address is limited: not a proxy's.
pub(super) fn address_of(caller: Option<&Caller>) -> Option<Address> {
    caller?.address
}

pub(super) fn admit(caller: Option<&Caller>) {
    if let Some(caller) = caller {
        caller.place.mark_admitted();
    }
}

/// A request whose source is known before its body comes.
async fn take_known(
    server: &Arc<Server>,
    (credential, shown): (&Arc<Credential>, &Shown),
    target: &Target,
    head: &Parts,
    body: axum::body::Body,
) -> Result<Receipt, Refusal> {
    check_feed(credential, &target.feed)?;
    if target.of.as_ref().is_some_and(|(system, source)| !credential.is_of(&target.feed, system, source)) {
        return Err(Refusal::OtherSource);
    }
    let _turn = credential.turns().request(Instant::now())?;
    let form = Form::of(&head.headers)?;
    let mut memory = credential.turns().memory(&server.shared);
    let sent = receive(&head.headers, body, BODY_BYTES_MAX, &mut memory).await?;
    // A body may take minutes: what was taken out of the configuration meanwhile counts no more.
    let still = server.recognise(shown).filter(|now| now.speaks_as(credential));
    let still = still.ok_or_else(|| Refusal::Unauthenticated("these credentials are valid no more".to_owned()))?;
    store(Arc::clone(server), &still, form, sent).await
}

/// Whether the feed of the address is the credential's.
pub(super) fn check_feed(credential: &Credential, feed: &str) -> Result<(), Refusal> {
    if feed == credential.feed.name() {
        return Ok(());
    }
    // Whoever speaks is told of feeds that are built in; which of its own an installation has is nobody else's.
    feeds::find(feed).map_err(|error| Refusal::UnknownFeed(error.to_string()))?;
    Err(Refusal::OtherFeed { own: credential.feed.name() })
}

/// A refusal of a request whose source is not known.
struct Turned {
    refusal: Refusal,
    /// Whether it is answered as RFC 8935 says.
    pushed: bool,
}

/// A request that only its body can prove. Until then it is a stranger's: small, one of a few of its address, and cut first.
async fn take_signed(
    server: &Arc<Server>,
    caller: Option<&Caller>,
    target: &Target,
    head: &Parts,
    body: axum::body::Body,
) -> Result<(Arc<Credential>, Result<Receipt, Refusal>), Turned> {
    let candidates = signers(server, target);
    if candidates.is_empty() {
        let refusal = fail(server, caller, "valid credentials are needed".to_owned());
        return Err(Turned { refusal, pushed: false });
    }
    let pushed = candidates.iter().any(|credential| credential.is_pushed_token());
    let turned = |refusal| Turned { refusal, pushed };
    let _stranger = stranger(server, caller).map_err(turned)?;
    let form = Form::of(&head.headers).map_err(turned)?;
    let mut memory = server.unproven.memory(&server.shared);
    let sent = receive(&head.headers, body, UNPROVEN_BODY_BYTES_MAX, &mut memory).await;
    let sent = sent.map_err(|refusal| match refusal {
        // The memory is that of all strangers, not the source's.
        Refusal::Busy(Busy::Bytes) => turned(Refusal::Strangers),
        other => turned(other),
    })?;
    // Those of now, whoever they were when the body began.
    let (credential, claim) = prove(server, caller, signers(server, target), head, &sent).map_err(turned)?;
    admit(caller);
    let receipt = take_proven(server, &credential, form, sent).await;
    if let (Ok(_), Some(claim)) = (&receipt, claim) {
        claim.keep();
    }
    Ok((credential, receipt))
}

/// Who may have signed what comes to that address.
fn signers(server: &Server, target: &Target) -> Vec<Arc<Credential>> {
    let of = target.of.as_ref();
    let signers = of.map(|(system, source)| server.credentials.borrow().signed(&target.feed, system, source));
    signers.unwrap_or_default()
}

/// Which of the candidates a body is signed by.
fn prove(
    server: &Server,
    caller: Option<&Caller>,
    candidates: Vec<Arc<Credential>>,
    head: &Parts,
    sent: &[u8],
) -> Result<(Arc<Credential>, Option<Claim>), Refusal> {
    let mut refused = "valid credentials are needed".to_owned();
    for credential in candidates {
        match credential.check(&head.headers, sent, clock::now()) {
            Ok(claim) => return Ok((credential, claim)),
            Err(Unproven::Repeated(Repeated::Already)) => return Err(Refusal::Replayed),
            Err(Unproven::Repeated(Repeated::Full)) => return Err(Busy::Replays.into()),
            Err(Unproven::Refused(reason)) => refused = reason,
        }
    }
    Err(fail(server, caller, refused))
}

async fn take_proven(
    server: &Arc<Server>,
    credential: &Arc<Credential>,
    form: Form,
    sent: Vec<u8>,
) -> Result<Receipt, Refusal> {
    let _turn = credential.turns().request(Instant::now())?;
    store(Arc::clone(server), credential, form, sent).await
}

/// A turn for a body of which nobody knows yet whose it is.
fn stranger(server: &Server, caller: Option<&Caller>) -> Result<Option<Stranger>, Refusal> {
    if let Some(caller) = caller {
        caller.place.mark_unproven();
    }
    let Some(address) = address_of(caller) else { return Ok(None) };
    let now = Instant::now();
    server.addresses.may_try(address, now).map_err(Refusal::Failing)?;
    server.addresses.unproven(address, now).map(Some).ok_or(Refusal::Strangers)
}

/// A failed attempt: counted, and one of a few that its address has.
pub(super) fn fail(server: &Server, caller: Option<&Caller>, message: String) -> Refusal {
    server.metrics().ingest_unauthenticated.with_label_values::<&str>(&[]).inc();
    let allowed = address_of(caller).map_or(Ok(()), |address| server.addresses.failure(address, Instant::now()));
    allowed.map_or_else(Refusal::Failing, |()| Refusal::Unauthenticated(message))
}

/// 200, or 400 when nothing in the body could be read. What was rejected is kept in both cases. A pushed token is answered
/// as RFC 8935 §2.2 says.
fn answer(server: &Server, credential: &Credential, receipt: Result<Receipt, Refusal>) -> Response {
    match (receipt, credential.is_pushed_token()) {
        (Ok(receipt), true) if receipt.is_unreadable() => {
            let reason = receipt.rejects.first().map(|reject| format!("{}: {}", reject.field, reject.reason));
            token_error(StatusCode::BAD_REQUEST, "invalid_request", &reason.unwrap_or_default())
        }
        (Ok(_), true) => StatusCode::ACCEPTED.into_response(),
        (Ok(receipt), false) => {
            let status = if receipt.is_unreadable() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
            (status, Json(receipt)).into_response()
        }
        (Err(refusal), true) => refuse_token(server, refusal),
        (Err(refusal), false) => server.refuse(refusal),
    }
}

/// A refusal in the words of RFC 8935 §2.4: what a transmitter will never get right by repeating is a 400 with a code.
fn refuse_token(server: &Server, refusal: Refusal) -> Response {
    let Refusal::Unauthenticated(message) = &refusal else { return server.refuse(refusal) };
    let code = match message {
        message if message.contains("`iss`") => "invalid_issuer",
        message if message.contains("`aud`") => "invalid_audience",
        message if message.contains("key") || message.contains("bytes") => "invalid_key",
        _ => "invalid_request",
    };
    let answer = token_error(StatusCode::BAD_REQUEST, code, message);
    server.count(&refusal);
    answer
}

fn token_error(status: StatusCode, code: &str, description: &str) -> Response {
    (status, Json(json!({ "err": code, "description": description }))).into_response()
}

/// Decompresses, parses and appends away from the threads that serve connections: all three block.
pub(super) async fn store(
    server: Arc<Server>,
    credential: &Arc<Credential>,
    form: Form,
    sent: impl AsRef<[u8]> + Send + 'static,
) -> Result<Receipt, Refusal> {
    let turn = credential.turns().work(&server.shared).await?;
    let credential = Arc::clone(credential);
    let stored = tokio::task::spawn_blocking(move || {
        // The turn is over when it is stored, also for who has hung up.
        let _turn = turn;
        let decoded = body::decode(form.encoding.as_deref(), sent.as_ref(), BODY_BYTES_MAX)?;
        let is_headers_alone = credential.feed.reads_cloud_events() && matches!(form.envelope, Envelope::Binary(_));
        if !is_headers_alone && decoded.iter().all(u8::is_ascii_whitespace) {
            return Err(Refusal::Broken("the body is empty".to_owned()));
        }
        let opened = form.envelope.open(&decoded, credential.feed.reads_cloud_events());
        let opened = opened.map_err(|problem| Refusal::Broken(problem.to_string()))?;
        server.intake.accept(&credential, opened, clock::now()).map_err(|error| {
            tracing::error!(error = %error, source = credential.origin.source, "the log did not take a body");
            Refusal::Unavailable(format!("the log does not take anything now: {error}"))
        })
    });
    // A feed that panics costs its sender the answer, not the server its life; the body is not acknowledged.
    stored.await.unwrap_or_else(|_| {
        Err(Refusal::Unavailable("reading the body failed; this is a defect of keywatch".to_owned()))
    })
}
