//! Rules that are put into shadow, switched off and on over the web page: who may finds forms for it, and a second person agrees.

use reqwest::StatusCode;

use super::browser::{Browser, Shown, between};
use crate::operators::{get, machine};

const RULE: &str = "/page/rules/own/presented";

/// Sends a form with the token of the page of the rule.
async fn send(browser: &mut Browser, act: &str, fields: &[(&str, &str)]) -> Shown {
    let token = browser.get(RULE).await.token();
    browser.post(&format!("{RULE}/{act}"), &[&[("token", token.as_str())][..], fields].concat()).await
}

#[tokio::test]
async fn two_people_switch_a_rule_off_on_the_page_and_a_viewer_or_an_analyst_does_not() {
    let machine = machine();
    let running = machine.start().await;
    let off = [("system", "cold"), ("to", "off"), ("days", "3"), ("reason", "<script>alert(1)</script>")];
    let on = [("system", "cold"), ("reason", "it is done")];
    for name in ["vera", "ann"] {
        let mut browser = Browser::signed_in(&running, name).await;
        let page = browser.get(RULE).await;
        assert!(page.status.is_success() && !page.text.contains("class=\"act\""), "{name} sees no form: {}", page.text);
        for (act, fields) in [("lower", &off[..]), ("on", &on[..])] {
            assert_eq!(send(&mut browser, act, fields).await.status, StatusCode::FORBIDDEN, "{name} {act}");
        }
    }
    let mut bob = Browser::signed_in(&running, "bob").await;
    assert_eq!(bob.post(&format!("{RULE}/lower"), &off).await.status, StatusCode::FORBIDDEN, "no token");
    assert_eq!(get(&running, "/v1/switches").await["switches"].as_array().map(Vec::len), Some(0));
    let page = bob.get(RULE).await.text;
    assert!(page.contains(&format!("action=\"{RULE}/lower\"")) && !page.contains(&format!("{RULE}/on")), "{page}");
    let asked = send(&mut bob, "lower", &off).await;
    assert_eq!((asked.status, asked.header("location")), (StatusCode::SEE_OTHER, RULE), "{}", asked.text);
    let page = bob.get(RULE).await.text;
    assert!(page.contains("off, once another person agrees"), "{page}");
    assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script>alert"), "{page}");
    assert!(!page.contains(&format!("action=\"{RULE}/agree\"")), "not one's own: {page}");
    assert!(!bob.get("/page/rules").await.text.contains("off in cold"), "one person alone");

    let mut carol = Browser::signed_in(&running, "carol").await;
    let page = carol.get(RULE).await.text;
    let form = page.split("<form").find(|form| form.contains(&format!("action=\"{RULE}/agree\""))).unwrap();
    let id = between(form, "name=\"id\" value=\"", "\"").to_owned();
    for name in ["vera", "ann"] {
        let mut browser = Browser::signed_in(&running, name).await;
        let refused = send(&mut browser, "agree", &[("id", &id)]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{name}: {}", refused.text);
    }
    assert_eq!(
        send(&mut bob, "agree", &[("id", &id)]).await.status,
        StatusCode::CONFLICT,
        "nor is it one's own to agree"
    );
    assert_eq!(send(&mut carol, "agree", &[("id", &id)]).await.status, StatusCode::SEE_OTHER);
    let mut vera = Browser::signed_in(&running, "vera").await;
    assert!(vera.get("/page/rules").await.text.contains("off in cold"));
    let page = vera.get(RULE).await.text;
    for said in
        ["<strong class=\"wrong\">off</strong> in cold", "<strong>bob</strong> says", "<strong>carol</strong> agrees"]
    {
        assert!(page.contains(said), "no `{said}` in {page}");
    }
    assert_eq!(send(&mut bob, "on", &on).await.status, StatusCode::SEE_OTHER);
    assert!(!vera.get("/page/rules").await.text.contains("off in cold"));
    running.stop();
}
