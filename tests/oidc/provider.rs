//! An identity provider of `OpenID Connect`: its discovery document, its keys, where people sign in and where codes are exchanged.
//! It knows its client, checks PKCE, takes a code once, and says of people what a test wants it to say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::{Client, Url};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

use crate::running::machine::Machine;
use crate::support::clock::unix_seconds;

/// Who keywatch is there.
pub(super) const CLIENT: &str = "keywatch-page";

/// What proves it, and the header in which that is said (RFC 6749, section 2.3.1).
const SECRET: &str = "s:cret";
const AUTHORIZATION: &str = "keywatch-page:s%3Acret";

/// Where it sends people back to, letter by letter. Tests take the path of it to where keywatch is.
const REDIRECT: &str = "http://127.0.0.1:8040/page/sign-in/callback";

/// How the client proves who it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// In a header.
    Basic,
    /// In the form.
    Post,
    /// Not at all: a public client.
    Nothing,
}

/// The provider.
#[derive(Clone)]
pub(super) struct Provider {
    pub(super) url: String,
    standing: Arc<Mutex<Standing>>,
}

/// What it is like just now.
struct Standing {
    key: Ed25519KeyPair,
    key_id: String,
    /// Laid over the claims of ID tokens.
    claims: Value,
    /// In place of the header of ID tokens.
    header: Option<Value>,
    /// It answers nothing but that.
    down: bool,
    proof: Proof,
    /// Codes that it gave and that nobody has brought yet: nonce and challenge.
    codes: BTreeMap<String, (String, String)>,
    given: usize,
}

fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap().as_ref()).unwrap()
}

fn fields(text: &str) -> BTreeMap<String, String> {
    Url::parse(&format!("http://form/?{text}")).unwrap().query_pairs().into_owned().collect()
}

impl Provider {
    /// Starts one.
    pub(super) async fn start() -> Provider {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let standing = Standing {
            key: key(),
            key_id: "first".to_owned(),
            claims: json!({}),
            header: None,
            down: false,
            proof: Proof::Nothing,
            codes: BTreeMap::new(),
            given: 0,
        };
        let url = format!("http://{}", listener.local_addr().unwrap());
        let provider = Provider { url, standing: Arc::new(Mutex::new(standing)) };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(describe))
            .route("/keys", get(keys))
            .route("/authorize", get(authorize))
            .route("/token", post(exchange))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    fn now(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap()
    }

    /// From now on its ID tokens have these claims and, where there is one, this header.
    pub(super) fn says(&self, claims: Value, header: Option<Value>) {
        let mut standing = self.now();
        standing.claims = claims;
        standing.header = header;
    }

    /// Whether it answers that it is down.
    pub(super) fn is_down(&self, down: bool) {
        self.now().down = down;
    }

    /// Changes its key.
    pub(super) fn rotate(&self) {
        let mut standing = self.now();
        standing.key = key();
        standing.key_id.push('+');
    }

    /// Lets a machine's page send people here; `more` is laid into the section on signing in.
    pub(super) fn configure(&self, machine: &Machine, proof: Proof, more: &str) {
        std::fs::write(machine.path("oidc.secret"), format!("{SECRET}\n")).unwrap();
        self.now().proof = proof;
        let secret = match proof {
            Proof::Basic => "client_secret_file = \"oidc.secret\"",
            Proof::Post => "client_secret_file = \"oidc.secret\"\nclient_authentication = \"post\"",
            Proof::Nothing => "",
        };
        let url = &self.url;
        machine.configure(&format!(
            "[oidc]\nissuer = \"{url}\"\naudience = \"keywatch\"\nkeys_url = \"{url}/keys\"\n\
             algorithms = [\"EdDSA\"]\nname_claim = \"email\"\n\
             [oidc.sign_in]\nclient_id = \"{CLIENT}\"\nredirect_uri = \"{REDIRECT}\"\n{secret}\n{more}\n\
             [[oidc.grants]]\nclaim = \"groups\"\nvalue = \"soc\"\nroles = [\"analyst\"]\nsystems = [\"cold\"]\n"
        ));
    }

    /// Somebody signs in where keywatch has sent them: where they are sent back to, without the host.
    pub(super) async fn visit(&self, location: &str) -> String {
        assert!(location.starts_with(&format!("{}/authorize?", self.url)), "{location}");
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let answer = client.get(location).send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        assert_eq!(status, StatusCode::SEE_OTHER, "{}", answer.text().await.unwrap());
        let back = headers["location"].to_str().unwrap();
        back.strip_prefix("http://127.0.0.1:8040").unwrap().to_owned()
    }
}

impl Standing {
    fn id_token(&self, issuer: &str, nonce: &str) -> String {
        let now = unix_seconds();
        let mut claims = json!({
            "iss": issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "sub": "4711", "nonce": nonce,
            "email": "erin@firm.example", "groups": ["soc"],
        });
        for (name, value) in self.claims.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let header = self.header.clone().unwrap_or_else(|| json!({ "alg": "EdDSA", "kid": self.key_id, "typ": "JWT" }));
        let is_signed = header["alg"] != "none";
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature =
            if is_signed { URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes())) } else { String::new() };
        format!("{signed}.{signature}")
    }

    fn refuses(&self) -> Option<Response> {
        self.down.then(|| StatusCode::SERVICE_UNAVAILABLE.into_response())
    }
}

async fn describe(State(provider): State<Provider>) -> Response {
    let url = &provider.url;
    let document = json!({
        "issuer": url, "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/keys"),
    });
    provider.now().refuses().unwrap_or_else(|| document.to_string().into_response())
}

async fn keys(State(provider): State<Provider>) -> Response {
    let standing = provider.now();
    let public = URL_SAFE_NO_PAD.encode(standing.key.public_key());
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": standing.key_id, "x": public });
    standing.refuses().unwrap_or_else(|| json!({ "keys": [jwk] }).to_string().into_response())
}

async fn authorize(State(provider): State<Provider>, uri: Uri) -> Response {
    let asked = fields(uri.query().unwrap_or_default());
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("redirect_uri", REDIRECT),
        ("scope", "openid profile email"),
        ("code_challenge_method", "S256"),
    ] {
        if asked.get(name).map(String::as_str) != Some(value) {
            return (StatusCode::BAD_REQUEST, format!("{name}: {asked:?}")).into_response();
        }
    }
    let mut standing = provider.now();
    standing.given += 1;
    let code = format!("code {}&=", standing.given);
    standing.codes.insert(code.clone(), (asked["nonce"].clone(), asked["code_challenge"].clone()));
    let mut back = Url::parse(REDIRECT).unwrap();
    back.query_pairs_mut()
        .append_pair("code", &code)
        .append_pair("state", &asked["state"])
        .append_pair("iss", &provider.url);
    Redirect::to(back.as_str()).into_response()
}

async fn exchange(State(provider): State<Provider>, headers: HeaderMap, body: String) -> Response {
    let mut standing = provider.now();
    if let Some(refused) = standing.refuses() {
        return refused;
    }
    let wrong = |error: &str| {
        let said = json!({ "error": error, "error_description": "not for people" });
        (StatusCode::BAD_REQUEST, said.to_string()).into_response()
    };
    let fields = fields(&body);
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let header = headers.get("authorization").map(|value| value.to_str().unwrap());
    let basic = format!("Basic {}", STANDARD.encode(AUTHORIZATION));
    // Some refuse who says twice who they are.
    let is_client = match standing.proof {
        Proof::Basic => header == Some(basic.as_str()) && field("client_id").is_empty(),
        Proof::Post => header.is_none() && (field("client_id"), field("client_secret")) == (CLIENT, SECRET),
        Proof::Nothing => header.is_none() && (field("client_id"), field("client_secret")) == (CLIENT, ""),
    };
    if !is_client {
        return wrong("invalid_client");
    }
    let Some((nonce, challenge)) = standing.codes.remove(field("code")) else { return wrong("invalid_grant") };
    let own = URL_SAFE_NO_PAD.encode(Sha256::digest(field("code_verifier"))) == challenge;
    if field("grant_type") != "authorization_code" || field("redirect_uri") != REDIRECT || !own {
        return wrong("invalid_grant");
    }
    let id_token = standing.id_token(&provider.url, &nonce);
    json!({ "access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": id_token })
        .to_string()
        .into_response()
}
