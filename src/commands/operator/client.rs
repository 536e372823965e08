//! Speaks to the API of a running keywatch as the operator whose token it has. Knows no shape of an answer but that of an
//! error.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use reqwest::{Method, Url};
use serde_json::Value;

use crate::limits::{API_ANSWER_SECONDS_MAX, TOKEN_BYTES_MAX};

/// Where keywatch is, and who asks.
#[derive(Debug, clap::Args)]
pub(crate) struct Server {
    /// Address of keywatch
    #[arg(long, global = true, value_name = "URL", env = "KEYWATCH_URL", default_value = "http://127.0.0.1:8040")]
    url: String,
    /// File with your token, unless the environment has it
    #[arg(long, global = true, value_name = "FILE", env = "KEYWATCH_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    // Never a value of the command line, which everybody on the machine can see.
    #[arg(long, hide = true, env = "KEYWATCH_TOKEN", hide_env_values = true, default_value = "")]
    token: String,
    /// Print the answer as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Server {
    /// keywatch at an address, asked by whoever has the token of the file, or else this one.
    pub(crate) fn at(url: String, token_file: Option<PathBuf>, token: String) -> Server {
        Server { url, token_file, token, json: false }
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// keywatch cannot be reached, or it says no.
    pub(crate) fn get(&self, path: &[&str], parameters: &[(&str, Option<String>)]) -> anyhow::Result<Value> {
        self.ask(Method::GET, path, parameters, None)
    }

    /// Has something done.
    ///
    /// # Errors
    /// As [`Server::get`].
    pub(crate) fn post(&self, path: &[&str], body: &Value) -> anyhow::Result<Value> {
        self.ask(Method::POST, path, &[], Some(body))
    }

    fn ask(
        &self,
        method: Method,
        path: &[&str],
        parameters: &[(&str, Option<String>)],
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let url = self.address(path, parameters)?;
        let token = self.token()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let client = reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .timeout(Duration::from_secs(API_ANSWER_SECONDS_MAX))
                .build()?;
            let mut request = client.request(method, url).bearer_auth(token);
            if let Some(body) = body {
                request = request.json(body);
            }
            let unreachable = || format!("keywatch does not answer at {} (--url, KEYWATCH_URL)", self.url);
            let answer = request.send().await.with_context(unreachable)?;
            let status = answer.status();
            let text = answer.text().await.with_context(unreachable)?;
            let value: Value = serde_json::from_str(&text)
                .with_context(|| format!("{} answered {status}, and no JSON: is it keywatch?", self.url))?;
            if !status.is_success() {
                bail!("{}", value["error"].as_str().unwrap_or("it says no, and not why"));
            }
            Ok(value)
        })
    }

    /// The address of a path under `/v1/`, each part of it escaped.
    ///
    /// # Errors
    /// It is no address, or the token would travel in the clear.
    pub(crate) fn address(&self, path: &[&str], parameters: &[(&str, Option<String>)]) -> anyhow::Result<Url> {
        let mut url = self.beside(&[&["v1"][..], path].concat())?;
        for (name, value) in parameters {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        Ok(url)
    }

    /// The address of a path, each part of it escaped.
    ///
    /// # Errors
    /// As [`Server::address`].
    pub(crate) fn beside(&self, path: &[&str]) -> anyhow::Result<Url> {
        let mut url = Url::parse(&self.url).with_context(|| format!("`{}` is no address", self.url))?;
        ensure!(["http", "https"].contains(&url.scheme()), "`{}` is neither http nor https", self.url);
        let loopback = url.host_str().is_some_and(|host| {
            let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
            host == "localhost" || address.is_ok_and(|address| address.is_loopback())
        });
        let in_the_clear = url.scheme() == "http" && !loopback;
        ensure!(!in_the_clear, "`{}` would send your token in the clear; use https", self.url);
        match url.path_segments_mut() {
            Ok(mut segments) => {
                segments.pop_if_empty().extend(path);
            }
            Err(()) => bail!("`{}` is no address", self.url),
        }
        Ok(url)
    }

    /// Who asks.
    ///
    /// # Errors
    /// There is no token, or its file cannot be read.
    pub(crate) fn token(&self) -> anyhow::Result<String> {
        let token = match &self.token_file {
            Some(file) => read(file)?,
            None => self.token.clone(),
        };
        let token = token.trim();
        ensure!(!token.is_empty(), "no token: name a file with --token-file, or set KEYWATCH_TOKEN");
        Ok(token.to_owned())
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    ensure!(text.len() <= TOKEN_BYTES_MAX, "{} holds more than a token", file.display());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> Server {
        Server::at(url.to_owned(), None, String::new())
    }

    #[test]
    fn names_are_escaped_and_tokens_do_not_travel_in_the_clear() {
        let url =
            at("http://127.0.0.1:8040").address(&["about", "a/../b?c"], &[("since", Some("x y".into()))]).unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:8040/v1/about/a%2F..%2Fb%3Fc?since=x+y");
        assert_eq!(at("https://kw.example/base/").address(&["me"], &[]).unwrap().path(), "/base/v1/me");
        for refused in ["http://kw.example", "ftp://127.0.0.1", "nonsense"] {
            assert!(at(refused).address(&["me"], &[]).is_err(), "{refused}");
        }
    }
}
