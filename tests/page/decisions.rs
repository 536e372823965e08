//! Decisions on responses over the web page: what waits stands on the board, and who may decide finds the forms for it.

use reqwest::StatusCode;
use serde_json::json;

use super::browser::{Browser, Shown};
use crate::operators::get;
use crate::responses::{machine, proposed};

/// Sends a form with the token of the page on which it stands.
async fn send(browser: &mut Browser, page: &Shown, path: &str, fields: &[(&str, &str)]) -> Shown {
    let token = page.token();
    browser.post(path, &[&[("token", token.as_str())][..], fields].concat()).await
}

#[tokio::test]
async fn a_responder_decides_on_the_page_and_nobody_else() {
    let machine = machine("");
    let running = machine.start().await;
    let id = proposed(&running, "s-of-mallory", "mallory", None).await;
    let (shown, api) = (format!("/page/responses/{id}"), format!("/v1/responses/{id}"));
    let incident = get(&running, &api).await["incident"].as_str().unwrap().to_owned();
    let of_incident = format!("/page/incidents/{incident}");
    let because = [("reason", "<script>alert(1)</script>")];
    for name in ["vera", "ann"] {
        let mut browser = Browser::signed_in(&running, name).await;
        let board = browser.get("/page").await;
        assert!(board.text.contains("Waiting for a person to decide: 1"), "{}", board.text);
        assert!(board.text.contains(&format!("href=\"{shown}\"")), "{}", board.text);
        assert!(!board.text.contains("s-of-mallory"), "a list shortens sessions: {}", board.text);
        for path in [&shown, &of_incident] {
            let page = browser.get(path).await;
            assert!(page.status.is_success() && page.text.contains("waits for 1 person until"), "{}", page.text);
            assert!(!page.text.contains("action=\"/page/responses/"), "{name} sees no form: {}", page.text);
        }
        assert!(!browser.get("/page/responses").await.text.contains("action=\"/page/sessions/restore\""));
        let refused = send(&mut browser, &board, &format!("{shown}/approve"), &because).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{name}");
    }
    let mut stranger = Browser::signed_in(&running, "stranger").await;
    let board = stranger.get("/page").await;
    assert!(!board.text.contains("Waiting for a person") && !board.text.contains(&id), "{}", board.text);
    assert_eq!(stranger.get(&shown).await.status, StatusCode::NOT_FOUND);
    let refused = send(&mut stranger, &board, &format!("{shown}/approve"), &because).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);

    let mut bob = Browser::signed_in(&running, "bob").await;
    for path in [&shown, &of_incident] {
        let page = bob.get(path).await.text;
        for (act, there) in [("approve", true), ("reject", true), ("undo", false)] {
            assert_eq!(page.contains(&format!("action=\"{shown}/{act}\"")), there, "{act} in {page}");
        }
    }
    assert_eq!(bob.post(&format!("{shown}/approve"), &because).await.status, StatusCode::FORBIDDEN, "no token");
    assert_eq!(get(&running, &api).await["status"], "proposed");
    let page = bob.get(&shown).await;
    let refused = send(&mut bob, &page, &format!("{shown}/approve"), &[]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "a decision needs a reason: {}", refused.text);
    let done = send(&mut bob, &page, &format!("{shown}/approve"), &because).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, shown.as_str()), "{}", done.text);
    let decided = get(&running, &api).await;
    assert_eq!((&decided["in_force"], &decided["approved_by"]), (&json!(true), &json!("bob")), "{decided}");

    let page = bob.get(&shown).await;
    assert!(page.text.contains("&lt;script&gt;alert(1)") && !page.text.contains("<script>alert"), "{}", page.text);
    assert!(page.text.contains(&format!("action=\"{shown}/undo\"")) && !page.text.contains("/approve\""));
    assert!(!bob.get("/page").await.text.contains("Waiting for a person"));
    // From the incident one comes back to it.
    let page = bob.get(&of_incident).await;
    let fields = [("reason", "the new laptop"), ("incident", incident.as_str())];
    let done = send(&mut bob, &page, &format!("{shown}/undo"), &fields).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, of_incident.as_str()), "{}", done.text);
    assert_eq!(get(&running, &api).await["status"], "undone");
    let undone = bob.get("/page/responses?status=undone").await.text;
    assert!(undone.contains(&format!("href=\"{shown}\"")) && undone.contains("Page 1 of 1, 1 in all"), "{undone}");
    running.stop();
}

#[tokio::test]
async fn nobody_decides_on_the_page_on_what_is_about_themselves() {
    let machine = machine("");
    let running = machine.start().await;
    let id = proposed(&running, "s-of-carol", "Carol", None).await;
    let shown = format!("/page/responses/{id}");
    let mut carol = Browser::signed_in(&running, "carol").await;
    let page = carol.get(&shown).await;
    assert!(page.text.contains("somebody else has to decide"), "{}", page.text);
    assert!(!page.text.contains("action=\"/page/responses/"), "{}", page.text);
    for act in ["approve", "reject"] {
        let refused = send(&mut carol, &page, &format!("{shown}/{act}"), &[("reason", "it is fine")]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{act}: {}", refused.text);
    }
    running.stop();
}

#[tokio::test]
async fn a_session_is_let_in_again_on_the_page_and_more_only_where_that_is_said() {
    let machine = machine("");
    let running = machine.start().await;
    let id = proposed(&running, "s-of-mallory", "mallory", Some("laptop-7")).await;
    let mut bob = Browser::signed_in(&running, "bob").await;
    let page = bob.get(&format!("/page/responses/{id}")).await;
    let approved = send(&mut bob, &page, &format!("/page/responses/{id}/approve"), &[("reason", "unknown")]).await;
    assert_eq!(approved.status, StatusCode::SEE_OTHER, "{}", approved.text);
    let incident = get(&running, &format!("/v1/responses/{id}")).await["incident"].as_str().unwrap().to_owned();
    let page = bob.get(&format!("/page/incidents/{incident}")).await;
    let choice = "<option value=\"s-of-mallory\"";
    assert!(page.text.contains("action=\"/page/sessions/restore\"") && page.text.contains(choice), "{}", page.text);

    let session = [("session", "s-of-mallory"), ("reason", "the new laptop")];
    let refused = send(&mut bob, &page, "/page/sessions/restore", &session).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text.contains("device laptop-7"), "{}", refused.text);
    let mut ann = Browser::signed_in(&running, "ann").await;
    let own = ann.get("/page").await;
    let all = [&session[..], &[("with_the_rest", "yes")]].concat();
    assert_eq!(send(&mut ann, &own, "/page/sessions/restore", &all).await.status, StatusCode::FORBIDDEN);
    let done = send(&mut bob, &page, "/page/sessions/restore", &all).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "/page/responses"), "{}", done.text);
    assert_eq!(get(&running, &format!("/v1/responses/{id}")).await["status"], "undone");
    let again = send(&mut bob, &page, "/page/sessions/restore", &all).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND, "{}", again.text);
    running.stop();
}
