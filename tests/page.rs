//! The web page, as a browser without scripts meets it: signing in, the board, an incident, what is done about it. What needs a
//! real browser is in [`chromium`].

pub(crate) mod browser;
mod chromium;
mod crowded;
mod decisions;
mod switches;

use std::path::Path;

use keywatch_store::Instant;
use reqwest::StatusCode;
use serde_json::json;

use self::browser::{Browser, between};
use crate::operators::{get, machine, one_incident, post};
use crate::running::machine::presented;
use crate::support::command::{err, keywatch};
use crate::support::tree;

/// What was put before Bybit's signers, and what they signed.
const SHOWN: &str = "0x9d89e67333f99c136537be74029c44592985a4855172f4c2d0d942029868f98e";
const SIGNED: &str = "0xb3476d061aeb8fc1d605a873c483a2402d88a68a9cdd1a8b47655dd55ba004f8";

#[tokio::test]
async fn who_has_not_signed_in_sees_the_form_for_that_and_nothing_else() {
    let machine = machine();
    let running = machine.start().await;
    let mut browser = Browser::new(&running);
    let sign_in = "/page/sign-in?to=%2Fpage%2Fincidents%2Fx";
    for (path, leads_to) in [("/", "/page"), ("/page", "/page/sign-in"), ("/page/incidents/x", sign_in)] {
        let answer = browser.get(path).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, leads_to), "{path}");
    }
    // A link of a dashboard leads to what it says once one has signed in.
    let answer = browser.get("/page?rule=own%2Fpresented").await;
    assert_eq!(answer.header("location"), "/page/sign-in?to=%2Fpage%3Frule%3Down%252Fpresented");
    assert_eq!(browser.get("/page/changes").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.post("/page/incidents/x/acknowledge", &[]).await.status, StatusCode::UNAUTHORIZED);
    let form = browser.get("/page/sign-in").await;
    assert_eq!(form.status, StatusCode::OK);
    let policy = form.header("content-security-policy");
    for rule in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(rule) && !policy.contains("unsafe"), "{policy}");
    }
    assert_eq!((form.header("x-content-type-options"), form.header("cache-control")), ("nosniff", "no-store"));
    assert!(!form.text.contains("style=") && !form.text.contains("onclick"), "{}", form.text);
    for (file, kind) in [("page.css", "text/css"), ("page.js", "text/javascript"), ("icon.svg", "image/svg+xml")] {
        let answer = browser.get(&format!("/page/files/{file}")).await;
        assert!(answer.status.is_success() && answer.header("content-type").starts_with(kind), "{file}");
    }
    assert_eq!(browser.get("/page/files/keywatch.toml").await.status, StatusCode::NOT_FOUND);
    running.stop();
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_too_many_are_not_answered() {
    let machine = machine();
    let running = machine.start().await;
    let mut browser = Browser::new(&running);
    assert_eq!(browser.sign_in("nobody").await.status, StatusCode::UNAUTHORIZED);
    // The token of a source is none of an operator's.
    assert_eq!(browser.sign_in("token").await.status, StatusCode::UNAUTHORIZED);
    let mut without_form = Browser::new(&running);
    let sent = without_form.post("/page/sign-in", &[("token", "made-up"), ("secret", "ann")]).await;
    assert_eq!(sent.status, StatusCode::FORBIDDEN);
    let mut refused = None;
    for _ in 0..500 {
        let answer = browser.sign_in("nobody").await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("wrong tokens are throttled");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    // Whoever sits behind the same address and has a token is not made to pay.
    assert_eq!(browser.sign_in("ann").await.status, StatusCode::SEE_OTHER);
    running.stop();
}

#[tokio::test]
async fn a_session_is_a_cookie_for_this_server_alone_and_ends() {
    let machine = machine();
    let running = machine.start().await;
    let mut browser = Browser::new(&running);
    let answer = browser.sign_in("ann").await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/page"));
    let set = answer.cookies.iter().find(|cookie| cookie.starts_with("keywatch=")).unwrap();
    for flag in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(set.contains(flag), "{set}");
    }
    assert!(!set.contains("Secure"), "plain HTTP here: {set}");
    let mut behind_proxy = Browser::new(&running).with_header("x-forwarded-proto", "https");
    let answer = behind_proxy.sign_in("ann").await;
    let set = answer.cookies.iter().find(|cookie| cookie.starts_with("__Host-keywatch=")).unwrap();
    assert!(set.ends_with("; Secure"), "{set}");

    let board = behind_proxy.get("/page").await;
    assert!(board.status.is_success() && board.text.contains("No incident"), "{}", board.text);

    let board = browser.get("/page").await;
    assert!(board.status.is_success() && board.text.contains("No incident"), "{}", board.text);
    assert_eq!(browser.post("/page/sign-out", &[]).await.status, StatusCode::FORBIDDEN);
    let (kept, token) = (browser.clone(), board.token());
    assert_eq!(browser.post("/page/sign-out", &[("token", &token)]).await.status, StatusCode::SEE_OTHER);
    let mut with_old_cookie = kept;
    assert_eq!(with_old_cookie.get("/page").await.header("location"), "/page/sign-in");
    running.stop();
}

#[tokio::test]
async fn where_tls_ends_in_front_cookies_are_of_this_host_alone_also_where_the_proxy_does_not_say_so() {
    let machine = machine();
    let file = machine.path("keywatch.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("[server]\n"), "{text}");
    std::fs::write(&file, text.replace("[server]\n", "[server]\ntls_in_front = true\n")).unwrap();
    let running = machine.start().await;
    let mut browser = Browser::new(&running);
    assert!(!browser.get("/page/sign-in").await.text.contains("not encrypted"));
    let answer = browser.sign_in("ann").await;
    let set = answer.cookies.iter().find(|cookie| cookie.starts_with("__Host-keywatch=")).unwrap();
    assert!(set.ends_with("; Secure"), "{set}");
    assert!(answer.cookies.iter().all(|cookie| cookie.starts_with("__Host-")), "{:?}", answer.cookies);
    let board = browser.get("/page").await;
    assert!(board.status.is_success() && board.text.contains("No incident"), "{}", board.text);
    running.stop();
}

#[tokio::test]
async fn p7_a_token_that_is_right_fills_no_log_with_sign_ins() {
    let machine = machine();
    let running = machine.start().await;
    let mut browser = Browser::new(&running);
    let mut taken = 0;
    let refused = loop {
        let answer = browser.sign_in("ann").await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            break answer;
        }
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        taken += 1;
        assert!(taken <= 60, "nothing ends it");
    };
    assert!(taken == 60 && refused.text.contains("too often"), "{taken}: {}", refused.text);
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    assert!(browser.get("/page").await.status.is_success(), "the session before goes on");
    Browser::signed_in(&running, "vera").await;
    running.stop();
    let records = machine.conclusions().filter(|event| event.kind() == "operator.signed_in").count();
    // Each stands in both systems that ann sees, and in the one of vera.
    assert_eq!(records, 2 * 60 + 1);
}

#[tokio::test]
async fn an_analyst_handles_an_incident_and_a_viewer_or_a_stranger_cannot() {
    let machine = machine();
    let running = machine.start().await;
    let id = one_incident(&running).await;
    let (shown, api) = (format!("/page/incidents/{id}"), format!("/v1/incidents/{id}"));
    let acknowledge = format!("{shown}/acknowledge");
    let mut vera = Browser::signed_in(&running, "vera").await;
    let page = vera.get(&shown).await;
    assert!(page.status.is_success() && page.text.contains("It is there for a test."), "{}", page.text);
    assert!(!page.text.contains("class=\"act\""), "who may not do it sees no form: {}", page.text);
    assert_eq!(vera.post(&acknowledge, &[("token", &page.token())]).await.status, StatusCode::FORBIDDEN);
    let mut stranger = Browser::signed_in(&running, "stranger").await;
    assert!(!stranger.get("/page").await.text.contains(&id));
    let page = stranger.get(&shown).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert_eq!(stranger.post(&acknowledge, &[("token", &page.token())]).await.status, StatusCode::NOT_FOUND);

    let mut ann = Browser::signed_in(&running, "ann").await;
    assert!(ann.get("/page").await.text.contains(&format!("href=\"{shown}\"")));
    let page = ann.get(&shown).await;
    let token = page.token();
    assert!(page.text.contains(&format!("action=\"{acknowledge}\"")));
    assert!(!page.text.contains("action=\"/page/silences\""), "{}", page.text);
    for wrong in ["", "0000", &vera.get("/page").await.token()] {
        let answer = ann.post(&acknowledge, &[("token", wrong)]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{wrong}");
    }
    assert_eq!(get(&running, &api).await["status"], "open");
    for (act, fields, field, expected) in [
        ("acknowledge", vec![], "status", json!("acknowledged")),
        ("assign", vec![("assignee", "bob")], "assignee", json!("bob")),
        ("comment", vec![("comment", "<script>alert(1)</script>")], "acts", json!(3)),
        ("resolve", vec![("verdict", "benign"), ("reason", "a drill")], "status", json!("resolved")),
        ("reopen", vec![("reason", "no drill")], "status", json!("open")),
    ] {
        let fields = [&[("token", token.as_str())][..], &fields].concat();
        let answer = ann.post(&format!("{shown}/{act}"), &fields).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, shown.as_str()), "{act}");
        assert_eq!(get(&running, &api).await[field], expected, "{act}");
    }
    let page = ann.get(&shown).await;
    assert!(page.text.contains("&lt;script&gt;alert(1)") && !page.text.contains("<script>alert"), "{}", page.text);
    let answer = ann.post(&format!("{shown}/comment"), &[("token", &token)]).await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "the API says no: {}", answer.text);
    running.stop();
}

#[tokio::test]
async fn a_responder_silences_and_an_analyst_does_not() {
    let machine = machine();
    let running = machine.start().await;
    let id = one_incident(&running).await;
    let silence = [("system", "cold"), ("rule", "own/presented"), ("hours", "2"), ("reason", "a drill")];
    let mut ann = Browser::signed_in(&running, "ann").await;
    let token = ann.get("/page").await.token();
    let sent = [&[("token", token.as_str())][..], &silence].concat();
    assert_eq!(ann.post("/page/silences", &sent).await.status, StatusCode::FORBIDDEN);
    let mut bob = Browser::signed_in(&running, "bob").await;
    let page = bob.get(&format!("/page/incidents/{id}")).await;
    assert!(page.text.contains("action=\"/page/silences\""), "{}", page.text);
    let token = page.token();
    let sent = [&[("token", token.as_str())][..], &silence, &[("criticals", "yes")]].concat();
    assert_eq!(bob.post("/page/silences", &sent).await.status, StatusCode::SEE_OTHER);
    let listed = bob.get("/page/silences").await.text;
    assert!(listed.contains("waiting for a second person") && listed.contains("a drill"), "{listed}");
    assert!(!listed.contains("/approve\""), "not one's own: {listed}");
    let mut carol = Browser::signed_in(&running, "carol").await;
    let listed = carol.get("/page/silences").await;
    let approve = between(&listed.text, "action=\"/page/silences/", "/approve\"");
    let sent = [("token", listed.token())];
    let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = carol.post(&format!("/page/silences/{approve}/approve"), &sent).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    assert!(carol.get("/page/silences").await.text.contains("active"));
    running.stop();
}

#[tokio::test]
async fn a_script_in_a_field_of_a_feed_stays_text() {
    let machine = machine();
    let running = machine.start().await;
    let attack = "\"><script>alert('x')</script><img src=x onerror=alert(1)>";
    running.send([presented(attack, attack, 1)]).await;
    running.until("keywatch_rule_findings_total", "", 1).await;
    let mut ann = Browser::signed_in(&running, "ann").await;
    let board = ann.until("/page", "&lt;script&gt;").await;
    let path = between(&board.text, "href=\"/page/incidents/", "\"").to_owned();
    let incident = ann.get(&format!("/page/incidents/{path}")).await;
    let nowhere = ann.get("/page/nowhere/at%3Call").await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
    assert!(
        nowhere.text.contains("There is no such page") && nowhere.text.contains("href=\"/page\""),
        "{}",
        nowhere.text
    );
    let filtered = ann.get("/page?system=%22%3E%3Cscript%3Ealert(1)%3C/script%3E").await;
    for page in [&board, &incident, &filtered] {
        assert!(page.status.is_success());
        assert!(!page.text.contains("<script>") && !page.text.contains("<img"), "{}", page.text);
    }
    assert!(incident.text.contains("&lt;script&gt;alert"), "{}", incident.text);
    running.stop();
}

#[tokio::test]
async fn a_board_that_waits_is_told_when_something_is_new() {
    let machine = machine();
    let running = machine.start().await;
    let mut ann = Browser::signed_in(&running, "ann").await;
    let seen = between(&ann.get("/page").await.text, "data-seen=\"", "\"").to_owned();
    let mut waiting = ann.clone();
    let asked = format!("/page/changes?seen={seen}");
    let (told, ()) = tokio::join!(waiting.get(&asked), async {
        running.send([presented("s-long-enough-1", "ann", 1)]).await;
    });
    let told: serde_json::Value = serde_json::from_str(&told.text).unwrap();
    assert_eq!(told["changed"], true, "{told}");
    assert!(told["seen"].as_str().is_some_and(|now| now != seen), "{told}");
    running.stop();
}

#[tokio::test]
async fn lists_go_on_from_page_to_page_the_newest_first() {
    let machine = machine();
    let running = machine.start().await;
    running.send((1..=60).map(|number| presented(&format!("session-{number}"), &format!("person-{number}"), 1))).await;
    running.until("keywatch_rule_findings_total", "", 60).await;
    let mut ann = Browser::signed_in(&running, "ann").await;
    let first = ann.until("/page?status=open", "Page 1 of 2, 60 in all").await;
    let second = ann.get("/page?status=open&page=2").await;
    let entries = |text: &str| text.matches("class=\"entry\"").count();
    assert_eq!((entries(&first.text), entries(&second.text)), (50, 10));
    assert!(first.text.contains("href=\"/page?status=open&amp;page=2\""), "{}", first.text);
    let listed = get(&running, "/v1/incidents?order=newest&limit=60").await;
    let opened: Vec<Instant> = listed["incidents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["opened"].as_str().unwrap().parse().unwrap())
        .collect();
    assert!(opened.is_sorted_by(|one, other| one >= other));
    for (query, expected) in [
        ("severity=critical", "No incident"),
        ("system=hot", "No incident"),
        ("rule=own/other", "No incident"),
        ("rule=own/presented&page=2", "Page 2 of 2, 60 in all"),
        ("page=99", "past the end"),
    ] {
        assert!(ann.get(&format!("/page?{query}")).await.text.contains(expected), "{query}");
    }
    assert_eq!(ann.get("/page?status=sad").await.status, StatusCode::BAD_REQUEST);
    running.stop();
}

#[tokio::test]
async fn rules_and_sources_can_be_looked_up() {
    let machine = machine();
    let running = machine.start().await;
    let mut ann = Browser::signed_in(&running, "ann").await;
    let rules = ann.get("/page/rules").await.text;
    assert!(rules.contains("href=\"/page/rules/own/presented\""), "{rules}");
    assert!(!rules.contains("chain/amount_outlier"), "it does not run here: {rules}");
    let rule = ann.get("/page/rules/own/presented").await.text;
    for said in ["It is there for a test.", "look", "events   session.presented", "told as 0 alerts"] {
        assert!(rule.contains(said), "no `{said}` in {rule}");
    }
    assert_eq!(ann.get("/page/rules/chain/amount_outlier").await.status, StatusCode::NOT_FOUND);
    let coverage = ann.until("/page/coverage", "<td>✓ sees</td>").await.text;
    assert!(coverage.contains("No row of the CCSS") && coverage.contains("own/presented"), "{coverage}");
    assert!(coverage.contains("<th scope=\"col\">cold</th>"), "{coverage}");
    running.send([presented("s-long-enough-1", "ann", 1)]).await;
    let sources = ann.until("/page/sources", " d ").await.text;
    assert!(sources.contains("idp") && sources.contains("✓ heard"), "{sources}");
    let mut stranger = Browser::signed_in(&running, "stranger").await;
    assert!(!stranger.get("/page/sources").await.text.contains("idp"));
    assert!(!stranger.get("/page/coverage").await.text.contains("<th scope=\"col\">cold</th>"));
    running.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_exported_as_one_file() {
    let machine = machine();
    let running = machine.start().await;
    let id = one_incident(&running).await;
    post(&running, "ann", &format!("/v1/incidents/{id}/comment"), json!({ "comment": "<b>looking</b>" })).await;
    std::fs::write(machine.path("ann"), "ann").unwrap();
    let token = machine.path("ann");
    let arguments = ["incidents", "export", &id, "--url", running.url(), "--token-file", token.to_str().unwrap()];
    let done = keywatch(token.parent().unwrap(), &[&arguments[..], &["--output", "incident.html"]].concat(), b"");
    assert!(done.status.success(), "{}", err(&done));
    let file = std::fs::read_to_string(machine.path("incident.html")).unwrap();
    assert!(file.contains("&lt;b&gt;looking") && file.contains(&id) && file.contains("<style>"), "{file}");
    assert!(!file.contains("<script") && !file.contains("src=") && !file.contains("href="), "{file}");
    running.stop();
}

#[test]
fn bybits_timeline_holds_what_was_shown_and_what_was_signed() {
    let here = tempfile::tempdir().unwrap();
    let recording = tree::root().join("replay-data/2025-02-bybit");
    let arguments = ["replay", recording.to_str().unwrap(), "--html", "bybit.html"];
    let done = keywatch(here.path(), &arguments, b"");
    assert!(done.status.success(), "{}", err(&done));
    let file = std::fs::read_to_string(here.path().join("bybit.html")).unwrap();
    let row = file.split("<li class=\"row").find(|row| row.contains("05:42:40") && row.contains("MISMATCH"));
    let row = row.expect("the mismatch has a row");
    for value in
        ["0x1f4eb0a903619ac168b19a82f1a6e2e426522211", "0x9ed84723885128072e4eebe53d2c71cac23ceb01", "mark bad"]
    {
        assert!(row.contains(value), "no `{value}` in {row}");
    }
    let compared = between(&file, "What was shown, and what was signed", "</table>");
    for value in [SHOWN, SIGNED, "3 do not fit it", "3 fit it", "delegatecall"] {
        assert!(compared.contains(value), "no `{value}` in {compared}");
    }
    // From 05:42:40.788 to 14:15:23, when the first money left.
    for value in [
        "8 h 32 min 42 s",
        "NO DECISION",
        "NO SIGNATURE",
        "401,346 ETH (about 1.1 bn USD)",
        "90,375.5479 stETH",
        "denied at pdp",
    ] {
        assert!(file.contains(value), "no `{value}` in the file");
    }
    assert_eq!(file.matches("MISMATCH").count(), 3, "three owners signed something else");
    assert!(!file.contains("<script") && !file.contains("src=") && !file.contains("href="));
}

#[test]
fn the_page_asks_the_api_and_nothing_else() {
    let page = Path::new("src/service/http/page");
    let files: Vec<_> = tree::texts(&["rs"]).into_iter().filter(|(file, _)| file.starts_with(page)).collect();
    assert!(files.len() > 10, "the page is elsewhere");
    for (file, text) in files {
        for other in ["keywatch_alerting", "keywatch_detectors", "keywatch_ingest", "api.executor", "api.log"] {
            assert!(!text.contains(other), "{}: `{other}` is not the API", file.display());
        }
    }
}
