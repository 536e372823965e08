//! Ways besides the decision point, against local receivers: what they get, that nothing is asked without a durable intent and
//! the approval that it needs, and what becomes of what they do not take (promise P5).

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keywatch_alerting::delivery::sink::{Attempt, Terminal};
use keywatch_alerting::limits::ATTEMPT_SECONDS_MAX;
use keywatch_alerting::response::ways::caep::{Caep, CaepSettings, SESSION_REVOKED, SubjectFormat};
use keywatch_alerting::response::ways::freeze::{FREEZE, Freeze, FreezeSettings};
use keywatch_alerting::response::ways::jws::TokenKey;
use keywatch_alerting::response::ways::planning::{Reach, WayRules, When};
use keywatch_alerting::response::ways::session_api::{Provider, SessionApi, SessionApiSettings};
use keywatch_alerting::response::ways::{Asked, Token};
use keywatch_alerting::{AddressRules, Approval, Error, Executor, Fate, Progress, Secret, Sink, Way};
use keywatch_store::finding::{Proof, Target};
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Finding, Log, Topic};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::support::{
    FaultyPdp, MortalLog, SESSION, SYSTEM, WALLET, allowed, at, executor, finding, policy, until, wall_clock,
};

const USER: &str = "9f3b1a52-0c1d-4e5f-8a7b-6c5d4e3f2a1b";

/// In place of a status: it does not answer.
const NEVER: u16 = 0;

/// What somebody got: method and path, headers, body.
#[derive(Clone)]
struct Got {
    request: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// A receiver that answers as scripted, the last answer for ever.
#[derive(Clone)]
struct Receiver {
    script: Arc<Mutex<VecDeque<(u16, String)>>>,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Receiver {
    async fn start(script: &[(u16, &str)]) -> (Receiver, String) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let script = script.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
        let receiver = Receiver { script: Arc::new(Mutex::new(script)), got: Arc::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(any(answer)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, url)
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    fn requests(&self) -> Vec<String> {
        self.got().into_iter().map(|got| got.request).collect()
    }
}

async fn answer(State(receiver): State<Receiver>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap().to_vec();
    let request = format!("{} {}", parts.method, parts.uri);
    receiver.got.lock().unwrap().push(Got { request, headers: parts.headers, body });
    let (status, body) = {
        let mut script = receiver.script.lock().unwrap();
        let next = if script.len() > 1 { script.pop_front() } else { script.front().cloned() };
        next.unwrap()
    };
    if status == NEVER {
        std::future::pending::<()>().await;
    }
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

fn rules(when: When, reach: Reach, needs_approval: bool) -> WayRules {
    let give_up_ns = 24 * 3_600 * SECOND_NS;
    WayRules { name: "idp".into(), system: SYSTEM.into(), needs_approval, when, reach, give_up_ns }
}

fn api(url: String, provider: Provider, rules: WayRules) -> Arc<dyn Way> {
    let token: Token = Arc::new(|| Ok("secret".to_owned()));
    let addresses = AddressRules::default();
    Arc::new(SessionApi::new(SessionApiSettings { rules, provider, url, token, addresses }).unwrap())
}

/// A log in which the session of the finding was allowed once, and a decision point with a document in force.
async fn scene(way: Arc<dyn Way>, sinks: Vec<Arc<dyn Sink>>) -> (Arc<MortalLog>, Arc<FaultyPdp>, Executor) {
    let (log, pdp) = (MortalLog::immortal(), FaultyPdp::new());
    log.append(Topic::Events, vec![allowed("d-1")]).unwrap();
    let executor = executor(&log, &pdp, sinks).with_ways(vec![way]);
    executor.resume().await.unwrap();
    (log, pdp, executor)
}

fn degrees(log: &MortalLog) -> Vec<String> {
    log.of_kind("response.verified").into_iter().filter_map(|event| event.outcome().map(str::to_owned)).collect()
}

fn opened(log: &MortalLog, rule: &str) -> usize {
    let opened = log.of_kind("alert.opened");
    opened.iter().filter(|event| event.detail().value()["finding"]["rule"] == rule).count()
}

/// The response that goes the way, and the one that it goes along with.
fn both(executor: &Executor) -> (Progress, Progress) {
    let (ways, mains): (Vec<Progress>, Vec<Progress>) =
        executor.responses(None).into_iter().partition(|progress| progress.response.via.is_some());
    assert_eq!((ways.len(), mains.len()), (1, 1));
    (ways[0].clone(), mains[0].clone())
}

#[tokio::test]
async fn p5_a_token_is_pushed_to_its_audience_once_when_no_decision_point_answers() {
    let (receiver, url) = Receiver::start(&[(202, "")]).await;
    let random = SystemRandom::new();
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref(), &random).unwrap();
    let encoded = STANDARD.encode(der.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{encoded}\n-----END PRIVATE KEY-----\n");
    let settings = CaepSettings {
        rules: rules(When::Unreachable, Reach::Sessions, false),
        url,
        issuer: "https://keywatch.example".into(),
        audience: "https://id.example".into(),
        key: TokenKey::from_pem("keywatch-1", &pem).unwrap(),
        subjects: SubjectFormat::Opaque,
        token: None,
        addresses: AddressRules::default(),
    };
    let way = Arc::new(Caep::new(settings, wall_clock()).unwrap());
    let (log, pdp, executor) = scene(way, Vec::new()).await;
    pdp.down.store(true, SeqCst);
    executor.take(&finding("1", 0)).await.unwrap();
    until("it was accepted", || degrees(&log) == ["accepted_by_identity_provider"]).await;
    assert_eq!(log.of_kind("response.requested").len(), 2, "each with its own intent");
    assert_eq!(opened(&log, "keywatch/second_path"), 1);

    let got = receiver.got();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].request, "POST /");
    assert_eq!(got[0].headers["content-type"], "application/secevent+jwt");
    let token = String::from_utf8(got[0].body.clone()).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
    public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let part = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let (header, claims) = (part(header), part(claims));
    assert_eq!(header, json!({ "alg": "ES256", "typ": "secevent+jwt", "kid": "keywatch-1" }));
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("https://keywatch.example"), &json!("https://id.example")));
    assert!(claims.get("sub").is_none() && claims.get("exp").is_none() && claims["jti"].is_string());
    let session = json!({ "format": "opaque", "id": SESSION });
    let user = json!({ "format": "opaque", "id": "alice" });
    assert_eq!(claims["sub_id"], json!({ "format": "complex", "session": session, "user": user }));
    let event = &claims["events"][SESSION_REVOKED];
    assert_eq!(event["initiating_entity"], "policy");
    assert_eq!(event["event_timestamp"], at(0).unix_seconds());

    pdp.down.store(false, SeqCst);
    until("the decision point denies", || degrees(&log).contains(&"denied_at_pdp".to_owned())).await;
    executor.refresh().await.unwrap();
    assert_eq!(receiver.got().len(), 1, "applied once");
}

#[tokio::test]
async fn p5_nothing_is_asked_without_the_approval_that_it_needs() {
    let (receiver, url) = Receiver::start(&[(204, "")]).await;
    let way = api(url, Provider::Okta, rules(When::Always, Reach::People, true));
    let (log, _pdp, executor) = scene(way, Vec::new()).await;
    executor.take(&finding("1", 0)).await.unwrap();
    executor.refresh().await.unwrap();
    let (way, _) = both(&executor);
    assert!(way.is_waiting() && receiver.got().is_empty());
    assert_eq!(degrees(&log), ["denied_at_pdp"]);
    let id = &way.response.id;
    let of_herself = executor.approve(id, "alice", "it was me").await.unwrap_err();
    assert!(matches!(of_herself, Error::NotAllowed { .. }), "{of_herself}");
    assert_eq!(executor.approve(id, "dora", "called alice").await.unwrap(), Approval::CarriedOut);
    until("it was accepted", || degrees(&log).len() == 2).await;
    assert_eq!(receiver.requests(), ["DELETE /api/v1/users/alice/sessions?oauthTokens=true"]);
    assert_eq!(receiver.got()[0].headers["authorization"], "SSWS secret");
    let (way, main) = both(&executor);
    assert_eq!((way.status().as_str(), main.status().as_str()), ("accepted_by_identity_provider", "denied_at_pdp"));
    let back = executor.undo(id, "dora", "it was the new laptop").await.unwrap_err();
    assert!(matches!(back, Error::ResponseClosed { .. }), "{back}");
}

#[tokio::test]
async fn p5_one_approval_carries_the_revocation_and_what_goes_along_with_it() {
    let (receiver, url) = Receiver::start(&[(204, "")]).await;
    let way = api(url, Provider::Okta, rules(When::Always, Reach::People, true));
    let (log, _pdp, executor) = scene(way, Vec::new()).await;
    executor.take(&Finding { proof: Proof::Corroborated, ..finding("1", 0) }).await.unwrap();
    let (way, main) = both(&executor);
    assert!(way.is_waiting() && main.is_waiting() && receiver.got().is_empty());
    executor.approve(&main.response.id, "dora", "called alice").await.unwrap();
    until("it was accepted", || degrees(&log).contains(&"accepted_by_identity_provider".to_owned())).await;
    let (way, main) = both(&executor);
    for (progress, degree) in [(&way, "accepted_by_identity_provider"), (&main, "denied_at_pdp")] {
        assert_eq!((progress.status().as_str(), progress.rulings.len()), (degree, 1), "a record of its own");
        assert_eq!(progress.rulings[0].reason, "called alice");
        assert_eq!(progress.response.approved_by.as_deref(), Some("dora"));
    }
    assert_eq!((log.of_kind("response.approved").len(), log.of_kind("response.requested").len()), (2, 2));
    let again = executor.approve(&way.response.id, "emil", "called alice").await.unwrap_err();
    assert!(matches!(again, Error::ResponseClosed { .. }), "{again}");
}

#[tokio::test]
async fn p5_a_way_that_was_rejected_is_not_gone_with_the_revocation() {
    let (receiver, url) = Receiver::start(&[(204, "")]).await;
    let way = api(url, Provider::Okta, rules(When::Always, Reach::People, true));
    let (_log, _pdp, executor) = scene(way, Vec::new()).await;
    executor.take(&Finding { proof: Proof::Corroborated, ..finding("1", 0) }).await.unwrap();
    let (way, main) = both(&executor);
    executor.reject(&way.response.id, "dora", "the session is enough").await.unwrap();
    executor.approve(&main.response.id, "dora", "called alice").await.unwrap();
    executor.refresh().await.unwrap();
    let (way, main) = both(&executor);
    assert_eq!((way.status().as_str(), main.status().as_str()), ("rejected", "denied_at_pdp"));
    assert!(receiver.got().is_empty());
}

#[tokio::test]
async fn a_revocation_that_is_taken_back_takes_back_what_goes_along_with_it() {
    let (receiver, url) = Receiver::start(&[(204, "")]).await;
    let way = api(url, Provider::Okta, rules(When::Always, Reach::People, true));
    let (_log, _pdp, executor) = scene(way, Vec::new()).await;
    executor.take(&finding("1", 0)).await.unwrap();
    let (_, main) = both(&executor);
    executor.undo(&main.response.id, "dora", "it was the new laptop").await.unwrap();
    let (way, main) = both(&executor);
    assert_eq!((way.status().as_str(), main.status().as_str()), ("rejected", "undone"));
    executor.refresh().await.unwrap();
    assert!(receiver.got().is_empty());
}

#[tokio::test]
async fn the_page_says_that_the_second_path_waits_for_a_person() {
    let (receiver, url) = Receiver::start(&[(200, "{\"value\":true}")]).await;
    let way = api(url, Provider::Entra, rules(When::Unreachable, Reach::People, true));
    let page: Arc<Mutex<Vec<u8>>> = Arc::default();
    let sink: Arc<dyn Sink> = Arc::new(Terminal::new("terminal", Page(Arc::clone(&page))));
    let (_log, pdp, executor) = scene(way, vec![sink]).await;
    pdp.down.store(true, SeqCst);
    executor.take(&finding("1", 0)).await.unwrap();
    let said = || String::from_utf8(page.lock().unwrap().clone()).unwrap();
    let expected =
        "proposes to end sessions of subject alice at idp; waits for a person (no replica of the decision point";
    until("people were told", || said().contains(expected) && said().contains("No decision point answers")).await;
    assert!(receiver.got().is_empty());
}

struct Page(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_fails_is_tried_again_until_it_is_taken() {
    let (receiver, url) = Receiver::start(&[(500, ""), (429, ""), (401, "expired"), (204, "")]).await;
    let way = api(url, Provider::Keycloak { realm: "custody".into() }, rules(When::Always, Reach::Sessions, false));
    let (log, _pdp, executor) = scene(way, Vec::new()).await;
    executor.take(&finding("1", 0)).await.unwrap();
    until("it was accepted", || degrees(&log).contains(&"accepted_by_identity_provider".to_owned())).await;
    let expected = format!("DELETE /admin/realms/custody/sessions/{SESSION}");
    assert_eq!(receiver.requests(), vec![expected; 4]);
    assert_eq!(both(&executor).0.failures, 3);
    executor.refresh().await.unwrap();
    assert_eq!(receiver.got().len(), 4, "what was accepted is not asked again");
}

#[tokio::test]
async fn p5_a_receiver_that_never_answers_is_left_in_time_and_asked_again() {
    let (receiver, url) = Receiver::start(&[(NEVER, ""), (204, "")]).await;
    let way = api(url, Provider::Okta, rules(When::Always, Reach::Sessions, false));
    let (log, _pdp, executor) = scene(way, Vec::new()).await;
    executor.take(&finding("1", 0)).await.unwrap();
    until("the decision point denies, which waits for no other way", || degrees(&log) == ["denied_at_pdp"]).await;
    let accepted = async {
        while !degrees(&log).contains(&"accepted_by_identity_provider".to_owned()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(4 * ATTEMPT_SECONDS_MAX), accepted).await.expect("it is left in time");
    assert_eq!(receiver.requests(), vec![format!("DELETE /api/v1/sessions/{SESSION}"); 2]);
    assert_eq!(both(&executor).0.failures, 1);
}

#[tokio::test]
async fn a_name_that_is_unknown_there_keeps_no_other_from_being_asked_again() {
    let (receiver, url) = Receiver::start(&[(404, ""), (503, ""), (404, ""), (204, "")]).await;
    let way = api(url, Provider::Okta, rules(When::Always, Reach::Sessions, true));
    let (log, _pdp, executor) = scene(way, Vec::new()).await;
    let found = Finding { response: vec![Target::Session, Target::Subject], ..finding("1", 0) };
    executor.take(&found).await.unwrap();
    let id = both(&executor).0.response.id;
    executor.approve(&id, "dora", "called alice").await.unwrap();
    until("somebody was told", || opened(&log, "keywatch/second_path_failed") == 1).await;
    let session = format!("DELETE /api/v1/sessions/{SESSION}");
    let person = "DELETE /api/v1/users/alice/sessions?oauthTokens=true".to_owned();
    assert_eq!(receiver.requests(), [session.clone(), person.clone(), session, person]);
    assert_eq!(both(&executor).0.status(), "given_up");
}

/// A way that is asked and says nothing until it is let go; then that it can never be done.
struct Held {
    rules: WayRules,
    asked: AtomicUsize,
    let_go: Notify,
}

impl Way for Held {
    fn rules(&self) -> &WayRules {
        &self.rules
    }

    fn ask<'a>(&'a self, _: Asked<'a>) -> Attempt<'a> {
        Box::pin(async move {
            self.asked.fetch_add(1, SeqCst);
            self.let_go.notified().await;
            Err(Error::Undelivered { destination: "idp".into(), problem: "unknown".into(), fate: Fate::Dead })
        })
    }
}

#[tokio::test]
async fn what_is_taken_back_while_it_is_asked_for_stays_taken_back() {
    let rules = rules(When::Always, Reach::People, false);
    let held = Arc::new(Held { rules, asked: AtomicUsize::new(0), let_go: Notify::new() });
    let (log, _pdp, executor) = scene(Arc::<Held>::clone(&held), Vec::new()).await;
    executor.take(&finding("1", 0)).await.unwrap();
    until("it was asked", || held.asked.load(SeqCst) == 1).await;
    let (_, main) = both(&executor);
    executor.undo(&main.response.id, "dora", "it was the new laptop").await.unwrap();
    held.let_go.notify_one();
    until("what came of it is recorded", || !log.of_kind("response.failed").is_empty()).await;
    executor.refresh().await.unwrap();
    assert_eq!(both(&executor).0.status(), "undone");
    assert_eq!(opened(&log, "keywatch/second_path_failed"), 0, "nobody is paged for it");
}

#[tokio::test]
async fn a_proposal_that_can_be_approved_no_more_stands_for_no_further_response() {
    let (_receiver, url) = Receiver::start(&[(204, "")]).await;
    let way = api(url, Provider::Okta, rules(When::Always, Reach::People, true));
    let (_log, _pdp, executor) = scene(way, Vec::new()).await;
    let of_way = || executor.responses(None).iter().filter(|progress| progress.response.via.is_some()).count();
    let hours = i64::from(policy().approvals.expire_after_hours);
    for (session, seconds, proposed) in [("one", 0, 1), ("two", 60, 1), ("three", 3_600 * hours + 60, 2)] {
        let found = Finding { entity: session.into(), session: Some(session.into()), ..finding(session, seconds) };
        executor.take(&found).await.unwrap();
        assert_eq!(of_way(), proposed, "{session}");
    }
}

#[tokio::test]
async fn a_person_is_looked_up_where_the_api_knows_them_by_an_id() {
    let found = format!("[{{\"id\":\"{USER}\"}}]");
    let (receiver, url) = Receiver::start(&[(200, "[]"), (200, found.as_str()), (204, "")]).await;
    let way = api(url, Provider::Keycloak { realm: "custody".into() }, rules(When::Always, Reach::People, false));
    let (log, _pdp, executor) = scene(way, Vec::new()).await;
    executor.take(&finding("1", 0)).await.unwrap();
    until("it was accepted", || degrees(&log).contains(&"accepted_by_identity_provider".to_owned())).await;
    let expected = [
        "GET /admin/realms/custody/users?username=alice&exact=true&max=2".to_owned(),
        "GET /admin/realms/custody/users?email=alice&exact=true&max=2".to_owned(),
        format!("POST /admin/realms/custody/users/{USER}/logout"),
    ];
    assert_eq!(receiver.requests(), expected);
}

#[tokio::test]
async fn what_can_never_be_carried_out_ends_loudly_and_is_not_asked_again() {
    let (receiver, url) = Receiver::start(&[(404, "no such session")]).await;
    let way = api(url, Provider::Okta, rules(When::Always, Reach::Sessions, false));
    let (log, _pdp, executor) = scene(way, Vec::new()).await;
    executor.take(&finding("1", 0)).await.unwrap();
    until("somebody was told", || opened(&log, "keywatch/second_path_failed") == 1).await;
    let (way, main) = both(&executor);
    assert_eq!((way.status().as_str(), main.status().as_str()), ("given_up", "denied_at_pdp"));
    executor.refresh().await.unwrap();
    assert_eq!(receiver.requests(), [format!("DELETE /api/v1/sessions/{SESSION}")]);
    assert_eq!(opened(&log, "keywatch/second_path_failed"), 1);
}

#[tokio::test]
async fn a_signer_is_asked_to_stop_with_a_signed_request() {
    let (receiver, url) = Receiver::start(&[(500, ""), (204, "")]).await;
    let secret = Secret::parse("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX").unwrap();
    let settings = FreezeSettings {
        rules: rules(When::Always, Reach::Wallets(BTreeSet::new()), true),
        url,
        secrets: vec![secret.clone()],
        addresses: AddressRules::default(),
    };
    let (log, _pdp, executor) = scene(Arc::new(Freeze::new(settings, wall_clock()).unwrap()), Vec::new()).await;
    executor.take(&finding("1", 0)).await.unwrap();
    assert!(receiver.got().is_empty());
    let (way, _) = both(&executor);
    executor.approve(&way.response.id, "dora", "nobody answers").await.unwrap();
    until("it was accepted", || degrees(&log).contains(&"accepted_by_signer".to_owned())).await;
    let got = receiver.got();
    assert_eq!(got.len(), 2);
    assert_eq!(got[0].headers["webhook-id"], got[1].headers["webhook-id"], "the same at every attempt");
    for Got { headers, body, .. } in &got {
        let header = |name: &str| headers[name].to_str().unwrap();
        let timestamp = header("webhook-timestamp").parse().unwrap();
        assert_eq!(header("webhook-signature"), secret.sign(header("webhook-id"), timestamp, body));
        let body: Value = serde_json::from_slice(body).unwrap();
        assert_eq!((&body["type"], &body["data"]["wallet"]), (&json!(FREEZE), &json!(WALLET)));
        assert_eq!(body["data"]["approved_by"], "dora");
    }
}
