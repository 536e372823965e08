//! Signing in on the page at an identity provider, with a keywatch that runs and a browser without scripts.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::provider::{Proof, Provider};
use crate::operators::machine;
use crate::page::browser::{Browser, Shown, between};
use crate::running::machine::Running;

const NOT_BELIEVED: (u16, &str) = (401, "cannot be believed");
const NO_ROLE: (u16, &str) = (403, "no role here is yours");

/// Leaves for the provider, signs in there: where one is sent back to.
async fn there(provider: &Provider, browser: &mut Browser, to: &str) -> String {
    let begun = browser.get(&format!("/page/sign-in/provider{to}")).await;
    assert_eq!(begun.status, StatusCode::SEE_OTHER, "{}", begun.text);
    provider.visit(begun.header("location")).await
}

/// There and back: what keywatch answers.
async fn signs_in(provider: &Provider, browser: &mut Browser, to: &str) -> Shown {
    let back = there(provider, browser, to).await;
    browser.get(&back).await
}

fn session(shown: &Shown) -> Option<&String> {
    shown.cookies.iter().find(|cookie| cookie.starts_with("keywatch="))
}

/// Nobody was let in, and nothing is told that is not for people.
async fn refused(browser: &mut Browser, shown: &Shown, status: StatusCode, said: &str) {
    assert_eq!(shown.status, status, "{}", shown.text);
    assert!(shown.text.contains(said), "no `{said}` in {}", shown.text);
    for secret in ["eyJ", "invalid_", "not for people", "127.0.0.1", "nonce", "code "] {
        assert!(!shown.text.contains(secret), "`{secret}` in {}", shown.text);
    }
    assert!(session(shown).is_none(), "{:?}", shown.cookies);
    assert_eq!(browser.get("/page").await.header("location"), "/page/sign-in");
}

#[tokio::test]
async fn who_signs_in_at_the_provider_is_let_in_for_as_long_as_it_says_and_it_is_written_down() {
    let (provider, machine) = (Provider::start().await, machine());
    provider.configure(&machine, Proof::Basic, "");
    let running = machine.start().await;
    let mut erin = Browser::new(&running);
    let form = erin.get("/page/sign-in?to=%2Fpage%2Fsources").await.text;
    let link = between(&form, "class=\"provider\" href=\"", "\"").replace("&amp;", "&");
    assert_eq!(link, "/page/sign-in/provider?to=%2Fpage%2Fsources");
    let begun = erin.get(&link).await;
    let kept = begun.cookies.iter().find(|cookie| cookie.starts_with("keywatch-attempt=")).unwrap();
    assert!(kept.contains("HttpOnly") && kept.contains("SameSite=Lax") && kept.contains("Max-Age=600"), "{kept}");
    let back = provider.visit(begun.header("location")).await;
    let mut again = erin.clone();
    let shown = erin.get(&back).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text);
    assert!(shown.text.contains("http-equiv=\"refresh\" content=\"0; url=/page/sources\""), "{}", shown.text);
    let set = session(&shown).unwrap();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict") && !set.contains("Secure"), "{set}");
    let seconds: u64 = between(&format!("{set};"), "Max-Age=", ";").parse().unwrap_or_else(|_| panic!("{set}"));
    assert!((1..=300).contains(&seconds), "the ID token is good for five minutes: {set}");
    assert!(shown.cookies.iter().any(|cookie| cookie.starts_with("keywatch-attempt=;")), "{:?}", shown.cookies);
    let board = erin.get("/page").await;
    assert!(board.text.contains("erin@firm.example") && !board.text.contains("sees only"), "{}", board.text);

    // The same code once more, by who has the cookie of the attempt, and by who has not.
    let replayed = again.get(&back).await;
    refused(&mut again, &replayed, StatusCode::UNAUTHORIZED, "has not signed you in").await;
    let mut without = Browser::new(&running);
    let replayed = without.get(&back).await;
    refused(&mut without, &replayed, StatusCode::FORBIDDEN, "not begun in this browser").await;

    let (mut kept, token) = (erin.clone(), board.token());
    assert_eq!(erin.post("/page/sign-out", &[("token", &token)]).await.header("location"), "/page/sign-in");
    assert_eq!(
        kept.get("/page").await.header("location"),
        "/page/sign-in",
        "the session is over, not its cookie alone"
    );
    Browser::signed_in(&running, "ann").await;
    running.stop();
    let mut records: Vec<(String, String, Value)> = machine
        .conclusions()
        .filter(|event| event.kind() == "operator.signed_in")
        .map(|event| {
            let way = event.detail().value()["way"].clone();
            (event.actor().unwrap().to_owned(), event.system().to_owned(), way)
        })
        .collect();
    records.sort_by_key(|(actor, system, _)| (actor.clone(), system.clone()));
    let record = |actor: &str, system: &str, way: &str| (actor.to_owned(), system.to_owned(), json!(way));
    let expected = [
        record("ann", "cold", "token"),
        record("ann", "hot", "token"),
        record("erin@firm.example", "cold", "identity_provider"),
    ];
    assert_eq!(records, expected);
}

/// Tries once with what the provider says then, and sees it refused.
async fn tried(provider: &Provider, running: &Running, claims: Value, header: Option<Value>, expected: (u16, &str)) {
    provider.says(claims, header);
    let mut browser = Browser::new(running);
    let shown = signs_in(provider, &mut browser, "").await;
    refused(&mut browser, &shown, StatusCode::from_u16(expected.0).unwrap(), expected.1).await;
}

#[tokio::test]
async fn an_id_token_that_is_not_as_agreed_lets_nobody_in() {
    let (provider, machine) = (Provider::start().await, machine());
    provider.configure(&machine, Proof::Post, "");
    let running = machine.start().await;
    for (claims, expected) in [
        (json!({ "nonce": "another" }), NOT_BELIEVED),
        (json!({ "nonce": null }), NOT_BELIEVED),
        (json!({ "aud": "another" }), NOT_BELIEVED),
        // What the API takes is for the API.
        (json!({ "aud": "keywatch" }), NOT_BELIEVED),
        (json!({ "aud": ["keywatch-page", "another"] }), NOT_BELIEVED),
        (json!({ "azp": "another" }), NOT_BELIEVED),
        (json!({ "iss": "https://id.example" }), NOT_BELIEVED),
        (json!({ "exp": 1_740_000_000 }), NOT_BELIEVED),
        (json!({ "groups": ["sales"] }), NO_ROLE),
        (json!({ "email": "ann" }), NO_ROLE),
        (json!({ "email": "keywatch" }), NO_ROLE),
        (json!({ "email_verified": false }), NO_ROLE),
    ] {
        tried(&provider, &running, claims, None, expected).await;
    }
    for header in [
        json!({ "alg": "none", "typ": "JWT" }),
        json!({ "alg": "HS256", "kid": "first", "typ": "JWT" }),
        json!({ "alg": "RS256", "kid": "first", "typ": "JWT" }),
        json!({ "alg": "EdDSA", "kid": "first", "typ": "logout+jwt" }),
    ] {
        tried(&provider, &running, json!({}), Some(header), NOT_BELIEVED).await;
    }
    provider.says(json!({}), None);
    let mut browser = Browser::new(&running);
    let shown = signs_in(&provider, &mut browser, "").await;
    assert!(session(&shown).is_some(), "{}", shown.text);
    running.stop();
}

#[tokio::test]
async fn nobody_is_signed_in_by_what_another_has_begun() {
    let (provider, machine) = (Provider::start().await, machine());
    provider.configure(&machine, Proof::Basic, "");
    let running = machine.start().await;
    let (mut mallory, mut erin) = (Browser::new(&running), Browser::new(&running));
    let of_mallory = there(&provider, &mut mallory, "").await;
    let shown = erin.get(&of_mallory).await;
    refused(&mut erin, &shown, StatusCode::FORBIDDEN, "not begun in this browser").await;
    let of_erin = there(&provider, &mut erin, "").await;
    let shown = erin.get(&of_mallory).await;
    refused(&mut erin, &shown, StatusCode::FORBIDDEN, "not begun in this browser").await;
    // Another issuer's answer, one that says no, and one without anything.
    let state = between(&format!("{of_erin}&"), "state=", "&").to_owned();
    let callback = "/page/sign-in/callback";
    for (query, status, said) in [
        (format!("code=x&state={state}&iss=https%3A%2F%2Fid.example"), StatusCode::FORBIDDEN, "not begun"),
        (String::new(), StatusCode::FORBIDDEN, "not begun"),
        ("code=x&state=".to_owned(), StatusCode::FORBIDDEN, "not begun"),
        (format!("state={state}&error=%3Cscript%3E"), StatusCode::UNAUTHORIZED, "has not signed you in"),
    ] {
        let shown = erin.get(&format!("{callback}?{query}")).await;
        assert!(!shown.text.contains("<script>"), "{}", shown.text);
        refused(&mut erin, &shown, status, said).await;
    }

    let mut sent = Browser::new(&running).with_header("sec-fetch-site", "cross-site");
    let shown = sent.get("/page/sign-in/provider?to=%2Fpage%2Fsources").await;
    assert_eq!(shown.header("location"), "/page/sign-in?to=%2Fpage%2Fsources", "another site begins nothing");
    for elsewhere in ["https%3A%2F%2Fevil.example", "%2F%2Fevil.example", "%2Fpage%2F%0D%0ASet-Cookie:a=b"] {
        let mut browser = Browser::new(&running);
        let shown = signs_in(&provider, &mut browser, &format!("?to={elsewhere}")).await;
        assert!(shown.text.contains("content=\"0; url=/page\""), "{elsewhere}: {}", shown.text);
    }
    running.stop();
}

#[tokio::test]
async fn who_fails_too_often_is_not_answered_and_a_token_is_taken_all_the_same() {
    let (provider, machine) = (Provider::start().await, machine());
    provider.configure(&machine, Proof::Basic, "");
    let running = machine.start().await;
    let mut browser = Browser::new(&running);
    let mut throttled = None;
    for _ in 0..500 {
        let shown = browser.get("/page/sign-in/callback?code=x&state=y").await;
        if shown.status == StatusCode::TOO_MANY_REQUESTS {
            throttled = Some(shown);
            break;
        }
        assert_eq!(shown.status, StatusCode::FORBIDDEN);
    }
    let throttled = throttled.expect("what fails is throttled");
    assert!(throttled.header("retry-after").parse::<u64>().unwrap() > 0);
    assert_eq!(browser.sign_in("ann").await.status, StatusCode::SEE_OTHER);
    // Nor does who has begun nothing keep a colleague behind the same address from the provider.
    let shown = signs_in(&provider, &mut Browser::new(&running), "").await;
    assert!(session(&shown).is_some(), "{} {}", shown.status, shown.text);
    running.stop();
}

#[tokio::test]
async fn a_provider_that_is_down_is_said_to_be_and_tokens_stay() {
    let (provider, machine) = (Provider::start().await, machine());
    // A public client, by the addresses of the configuration.
    let url = &provider.url;
    let endpoints = format!("authorization_url = \"{url}/authorize\"\ntoken_url = \"{url}/token\"");
    provider.configure(&machine, Proof::Nothing, &endpoints);
    let running = machine.start().await;
    let mut browser = Browser::new(&running);
    let back = there(&provider, &mut browser, "").await;
    provider.is_down(true);
    let shown = browser.get(&back).await;
    refused(&mut browser, &shown, StatusCode::BAD_GATEWAY, "does not answer").await;
    assert_eq!(browser.sign_in("ann").await.status, StatusCode::SEE_OTHER);
    provider.is_down(false);
    let mut browser = Browser::new(&running);
    let shown = signs_in(&provider, &mut browser, "").await;
    assert!(session(&shown).is_some(), "{}", shown.text);
    running.stop();

    // Nor does it say where people sign in.
    let machine = self::machine();
    provider.configure(&machine, Proof::Basic, "");
    provider.is_down(true);
    let running = machine.start().await;
    let mut browser = Browser::new(&running);
    let shown = browser.get("/page/sign-in/provider").await;
    refused(&mut browser, &shown, StatusCode::BAD_GATEWAY, "does not answer").await;
    running.stop();
}

#[tokio::test]
async fn a_key_that_is_new_is_fetched_before_anybody_is_turned_away() {
    let (provider, machine) = (Provider::start().await, machine());
    provider.configure(&machine, Proof::Basic, "");
    let running = machine.start().await;
    let mut browser = Browser::new(&running);
    let shown = signs_in(&provider, &mut browser, "").await;
    assert!(session(&shown).is_some(), "{}", shown.text);
    provider.rotate();
    let mut browser = Browser::new(&running);
    let shown = signs_in(&provider, &mut browser, "").await;
    assert!(session(&shown).is_some(), "{}", shown.text);
    running.stop();
}

#[tokio::test]
async fn no_other_host_sets_the_cookie_of_an_attempt_also_where_a_proxy_does_not_say_that_it_ends_tls() {
    let machine = machine();
    machine.configure(
        "[oidc]\nissuer = \"https://id.example\"\naudience = \"keywatch\"\nkeys_url = \"http://127.0.0.1:1/keys\"\n\
         name_claim = \"email\"\n\
         [oidc.sign_in]\nclient_id = \"keywatch-page\"\n\
         redirect_uri = \"https://keywatch.example.net/page/sign-in/callback\"\n\
         authorization_url = \"https://id.example/authorize\"\ntoken_url = \"https://id.example/token\"\n\
         [[oidc.grants]]\nclaim = \"groups\"\nvalue = \"soc\"\nroles = [\"analyst\"]\nsystems = [\"cold\"]\n",
    );
    let running = machine.start().await;
    let begun = Browser::new(&running).get("/page/sign-in/provider").await;
    assert!(begun.header("location").starts_with("https://id.example/authorize?"), "{}", begun.text);
    let kept = begun.cookies.iter().find(|cookie| cookie.starts_with("__Host-keywatch-attempt="));
    assert!(kept.is_some_and(|kept| kept.contains("Secure") && !kept.contains("Domain")), "{:?}", begun.cookies);
    running.stop();
}

#[tokio::test]
async fn without_the_section_nobody_is_sent_anywhere() {
    let machine = machine();
    let running = machine.start().await;
    let mut browser = Browser::new(&running);
    assert!(!browser.get("/page/sign-in").await.text.contains("/page/sign-in/provider"));
    for path in ["/page/sign-in/provider", "/page/sign-in/callback?code=x&state=y"] {
        assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    running.stop();
}
