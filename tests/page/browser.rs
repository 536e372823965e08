//! A browser without scripts: it keeps cookies, follows nothing by itself and sends forms.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{Client, Method, StatusCode, Url};

use crate::running::machine::Running;

/// The most that a page is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A browser.
#[derive(Clone)]
pub(crate) struct Browser {
    client: Client,
    url: String,
    cookies: BTreeMap<String, String>,
    header: Option<(&'static str, &'static str)>,
}

/// What it is shown.
pub(crate) struct Shown {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
    /// The cookies that it was given.
    pub(crate) cookies: Vec<String>,
    headers: HeaderMap,
}

impl Shown {
    /// A header; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// What the forms of the page bring along.
    pub(crate) fn token(&self) -> String {
        between(&self.text, "name=\"token\" value=\"", "\"").to_owned()
    }
}

/// The text between two others.
pub(crate) fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let found = text.split(before).skip(1).find_map(|rest| Some(rest.split_once(after)?.0));
    found.unwrap_or_else(|| panic!("nothing between `{before}` and `{after}` in {text}"))
}

impl Browser {
    /// One that was nowhere yet.
    pub(crate) fn new(running: &Running) -> Browser {
        Browser::at(running.url())
    }

    /// One that was nowhere yet, of a keywatch at this address.
    pub(crate) fn at(url: &str) -> Browser {
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Browser { client, url: url.to_owned(), cookies: BTreeMap::new(), header: None }
    }

    /// One that sends a header with everything.
    pub(crate) fn with_header(mut self, name: &'static str, value: &'static str) -> Browser {
        self.header = Some((name, value));
        self
    }

    /// One of an operator who has signed in.
    pub(crate) async fn signed_in(running: &Running, token: &str) -> Browser {
        let mut browser = Browser::new(running);
        let answer = browser.sign_in(token).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{token}: {}", answer.text);
        browser
    }

    /// Fills in the form for signing in.
    pub(crate) async fn sign_in(&mut self, secret: &str) -> Shown {
        let form = self.get("/page/sign-in").await.token();
        self.post("/page/sign-in", &[("token", &form), ("secret", secret)]).await
    }

    /// Opens a page.
    pub(crate) async fn get(&mut self, path: &str) -> Shown {
        self.ask(Method::GET, path, String::new()).await
    }

    /// Opens a page again and again until it holds a text.
    pub(crate) async fn until(&mut self, path: &str, text: &str) -> Shown {
        let asking = async {
            loop {
                let shown = self.get(path).await;
                if shown.text.contains(text) {
                    return shown;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{path} never shows `{text}`"))
    }

    /// Sends a form.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Shown {
        let mut url = Url::parse("http://form/").unwrap();
        url.query_pairs_mut().extend_pairs(fields);
        self.ask(Method::POST, path, url.query().unwrap_or_default().to_owned()).await
    }

    async fn ask(&mut self, method: Method, path: &str, body: String) -> Shown {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = self.client.request(method, format!("{}{path}", self.url)).header(COOKIE, cookies.join("; "));
        if let Some((name, value)) = self.header {
            request = request.header(name, value);
        }
        let answer =
            request.header("content-type", "application/x-www-form-urlencoded").body(body).send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let set = headers.get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap().to_owned());
        let set: Vec<String> = set.collect();
        for (name, rest) in set.iter().filter_map(|cookie| cookie.split_once('=')) {
            let value = rest.split(';').next().unwrap_or_default();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        assert!(status != StatusCode::SEE_OTHER || headers.contains_key(LOCATION));
        Shown { status, text: answer.text().await.unwrap(), cookies: set, headers }
    }
}
