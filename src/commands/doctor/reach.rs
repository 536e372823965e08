//! Whether what is outside can be reached, side by side and each within a few seconds: decision points, nodes of chains,
//! services that are pulled, receivers. Receivers are only connected to, since whatever is sent to one is a notification.

use std::fs;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use futures::future::join_all;
use jiff::fmt::rfc2822::DateTimeParser;
use keywatch_alerting::PolicyDecisionPoint;
use keywatch_alerting::delivery::receivers::pagerduty::EVENTS_URL;
use keywatch_store::Inventory;
use reqwest::{Client, Url, redirect};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::report::{Line, State};
use crate::clock;
use crate::limits::{CLOCK_SKEW_SECONDS_MAX, DOCTOR_ANSWER_SECONDS_MAX};
use crate::service::chains::follower::chain::Chain;
use crate::service::chains::node::Node;
use crate::service::chains::start::{self, AnyChain};
use crate::service::config::receiver::Receiver;
use crate::service::config::{self, Config, DecisionPoint};
use crate::service::metrics::Metrics;
use crate::service::rotating_token::connect;
use crate::service::state_place::bucket_of;
use crate::service::{receivers, text_file};

/// How long each is waited for.
const BOUND: Duration = Duration::from_secs(DOCTOR_ANSWER_SECONDS_MAX);

type Look<'a> = Pin<Box<dyn Future<Output = Line> + Send + 'a>>;

/// A line for everything outside, and by how many seconds the clocks there are ahead of this machine's.
pub(super) async fn all(config: &Config, inventory: &Inventory) -> (Vec<Line>, Vec<i64>) {
    let mut lines = Vec::new();
    let mut looks: Vec<Look<'_>> = Vec::new();
    for point in &config.decision_points {
        looks.push(Box::pin(decision_point(point)));
    }
    for chain in &config.chains {
        match nodes(chain, inventory) {
            Ok(nodes) => looks.extend(nodes),
            Err(error) => {
                let advice = "correct [[chains]] as the message says";
                lines.push(Line::wrong("node", &chain.source, format!("{error:#}"), advice));
            }
        }
    }
    // A directory is nobody that is connected to.
    for pull in config.pull.iter().filter(|pull| pull.directory.is_none()) {
        // What it answers to a token is what the source says of itself, source.status, while keywatch runs.
        looks.push(Box::pin(connected("service", pull.source.clone(), places(&[&pull.url]))));
    }
    for webhook in &config.webhooks {
        looks.push(Box::pin(receiver(webhook.name.clone(), places(&[&webhook.url]))));
    }
    for configured in &config.receivers {
        let places = receivers::sink(configured).and_then(|_| of_receiver(configured));
        looks.push(Box::pin(receiver(configured.name().to_owned(), places)));
    }
    for heartbeat in &config.heartbeats {
        // Asked for, it would be one.
        let address = text_file::read(&heartbeat.url_file).map(|url| url.trim().to_owned());
        let place = address.and_then(|address| places(&[&address]));
        looks.push(Box::pin(connected("heartbeat", heartbeat.receiver.clone(), place)));
    }
    if let Some(oidc) = &config.oidc {
        looks.push(Box::pin(connected("keys", oidc.issuer.clone(), places(&[&oidc.keys_url]))));
        if let Some(sign_in) = &oidc.sign_in {
            let asked = sign_in.token_url.as_ref().unwrap_or(&oidc.issuer);
            looks.push(Box::pin(connected("sign-in", oidc.issuer.clone(), places(&[asked]))));
        }
    }
    if let Some((bucket, _)) = bucket_of(&config.log.state) {
        let address = config.log.state_store.address(bucket).map(String::from);
        let place = address.and_then(|address| places(&[&address]));
        looks.push(Box::pin(connected("bucket", bucket.to_owned(), place)));
    }
    let skews = join_all(config.decision_points.iter().map(|point| skew(&point.opa)));
    let (looked, skews) = tokio::join!(join_all(looks), skews);
    lines.extend(looked);
    (lines, skews.into_iter().flatten().collect())
}

/// Asks an OPA what keywatch asks it when it proves a revocation: the control, which has to be allowed.
async fn decision_point(point: &DecisionPoint) -> Line {
    const AREA: &str = "decision point";
    let name = format!("{}/{}", point.system, point.name());
    let asked = async {
        let token = point.token_file.as_deref().map(text_file::read).transpose()?;
        let control: Value = serde_json::from_str(&text_file::read(&point.control_file)?)
            .with_context(|| format!("{} is not JSON", point.control_file.display()))?;
        let opa = connect(&point.opa, token.as_deref().map(str::trim), None)?;
        anyhow::Ok(opa.ask(&control).await?.allow)
    };
    match timeout(BOUND, asked).await {
        Ok(Ok(true)) => Line::fine(AREA, name, "answers, and allows its control"),
        Ok(Ok(false)) => {
            let advice = "see that it has the policy, and the revocations of a keywatch that runs (docs/revocation.md); \
                          control_file has to be a session that is allowed";
            Line::wrong(AREA, name, "answers, and denies its control", advice)
        }
        Ok(Err(error)) => {
            let advice = "see that it runs at this address, and that token_file holds the token that it expects";
            Line::wrong(AREA, name, format!("{error:#}"), advice)
        }
        Err(_) => Line::wrong(AREA, name, late(), "see that it runs at this address and that nothing between drops it"),
    }
}

fn nodes(chain: &config::Chain, inventory: &Inventory) -> anyhow::Result<Vec<Look<'static>>> {
    let system = inventory.system(&chain.system).context("the inventory has no such system")?;
    let configured = Arc::new(start::configured(chain, system)?);
    let endpoints = start::endpoints(chain, &Metrics::new())?;
    let look = |node: &Arc<Node>| -> Look<'static> {
        Box::pin(self::node(chain.source.clone(), Arc::clone(&configured), Arc::clone(node)))
    };
    Ok(endpoints.nodes().map(look).collect())
}

async fn node(source: String, chain: Arc<AnyChain>, node: Arc<Node>) -> Line {
    const AREA: &str = "node";
    let name = format!("{source}/{}", node.name());
    let asked = async {
        match chain.as_ref() {
            AnyChain::Evm(chain) => {
                chain.check(&node).await?;
                chain.head(&node).await
            }
            AnyChain::Bitcoin(chain) => {
                chain.check(&node).await?;
                chain.head(&node).await
            }
        }
    };
    let advice =
        "`keywatch chain check` asks it for a whole block; see that it runs and that its address and key are right";
    match timeout(BOUND, asked).await {
        Ok(Ok(head)) => Line::fine(AREA, name, format!("answers, newest block {head}")),
        Ok(Err(trouble)) => Line::wrong(AREA, name, trouble.to_string(), advice),
        Err(_) => Line::wrong(AREA, name, late(), advice),
    }
}

/// Where something is.
enum Place {
    Address(String, u16),
    File(PathBuf),
}

async fn receiver(name: String, places: anyhow::Result<Vec<Place>>) -> Line {
    let line = connected("receiver", name, places).await;
    if line.state == State::Fine {
        return line;
    }
    let advice = line.advice.unwrap_or_default();
    let trial = format!("{advice}; `keywatch deliveries test {}` then sends a test", line.name);
    Line { advice: Some(trial), ..line }
}

async fn connected(area: &'static str, name: String, places: anyhow::Result<Vec<Place>>) -> Line {
    let reached = async {
        for place in places? {
            match place {
                Place::Address(host, port) => {
                    let connected = timeout(BOUND, TcpStream::connect((host.as_str(), port))).await;
                    connected.map_err(|_| anyhow::anyhow!(late()))?.with_context(|| format!("{host}:{port}"))?;
                }
                Place::File(file) => {
                    let folder =
                        file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                    if !folder.is_dir() {
                        bail!("there is no directory {}", folder.display());
                    }
                }
            }
        }
        anyhow::Ok(())
    };
    match reached.await {
        Ok(()) => Line::fine(area, name, "can be connected to"),
        Err(error) => {
            Line::wrong(area, name, format!("{error:#}"), "see its address, its files and the network between")
        }
    }
}

fn of_receiver(receiver: &Receiver) -> anyhow::Result<Vec<Place>> {
    match receiver {
        Receiver::Alertmanager(receiver) => places(&receiver.urls.iter().collect::<Vec<_>>()),
        Receiver::PagerDuty(receiver) => places(&[receiver.url.as_ref().unwrap_or(&EVENTS_URL.to_owned())]),
        Receiver::Webhook(receiver) => places(&[&receiver.url]),
        // The address is the secret: it is not shown where it is none.
        Receiver::Slack(receiver) => {
            let url = fs::read_to_string(&receiver.url_file).context("url_file")?;
            places(&[&url.trim().to_owned()]).map_err(|_| anyhow::anyhow!("url_file holds no address"))
        }
        Receiver::Email(receiver) => Ok(vec![host_and_port(&receiver.smtp)?]),
        Receiver::Siem(receiver) => {
            let tcp = receiver.tcp.as_deref().map(host_and_port).transpose()?;
            Ok(receiver.file.clone().map(Place::File).into_iter().chain(tcp).collect())
        }
    }
}

fn places(urls: &[&String]) -> anyhow::Result<Vec<Place>> {
    let place = |url: &&String| {
        let url = Url::parse(url).context("url: is no address")?;
        let host = url.host_str().context("url: names no host")?.trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().context("url: names no port")?;
        Ok(Place::Address(host, port))
    };
    urls.iter().map(place).collect()
}

fn host_and_port(text: &str) -> anyhow::Result<Place> {
    let (host, port) = text.rsplit_once(':').with_context(|| format!("`{text}` is no host:port"))?;
    let port = port.parse().with_context(|| format!("`{text}` is no host:port"))?;
    Ok(Place::Address(host.trim_matches(['[', ']']).to_owned(), port))
}

fn late() -> String {
    format!("does not answer within {DOCTOR_ANSWER_SECONDS_MAX} s")
}

/// Seconds that the clock of a server is ahead, by the `Date` of an answer; `None` where it does not say.
async fn skew(url: &str) -> Option<i64> {
    let client = Client::builder().redirect(redirect::Policy::none()).timeout(BOUND).build().ok()?;
    let answer = client.get(format!("{}/health", url.trim_end_matches('/'))).send().await.ok()?;
    let date = answer.headers().get("date")?.to_str().ok()?;
    ahead(date, clock::now().unix_seconds())
}

fn ahead(date: &str, now: i64) -> Option<i64> {
    Some(DateTimeParser::new().parse_timestamp(date).ok()?.as_second() - now)
}

/// What the clocks of others say of this machine's: it is wrong where all of them differ from it to one side.
pub(super) fn clock_line(skews: &[i64]) -> Option<Line> {
    let least = skews.iter().copied().min_by_key(|skew| skew.abs())?;
    let same_side = skews.iter().all(|skew| skew.signum() == least.signum());
    if least.abs() > CLOCK_SKEW_SECONDS_MAX && same_side {
        let found = format!("differs by {least} s or more from that of {} servers outside", skews.len());
        return Some(Line::wrong(
            "clock",
            "this machine",
            found,
            "keep it by NTP: lateness and order are judged by it",
        ));
    }
    Some(Line::fine("clock", "this machine", format!("within {} s of a server outside", least.abs().max(1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_with_a_wrong_clock_does_not_make_ours_wrong() {
        assert_eq!(ahead("Thu, 01 Jan 1970 00:01:40 GMT", 90), Some(10));
        assert_eq!(ahead("yesterday", 90), None);
        let state = |skews: &[i64]| clock_line(skews).map(|line| line.state);
        assert_eq!(state(&[]), None);
        for (skews, expected) in [
            (&[3][..], State::Fine),
            (&[400, -1][..], State::Fine),
            (&[400, -90][..], State::Fine),
            (&[-400, -90][..], State::Wrong),
        ] {
            assert_eq!(state(skews), Some(expected), "{skews:?}");
        }
    }

    #[tokio::test]
    async fn a_receiver_is_connected_to_and_nothing_is_sent() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        assert_eq!(receiver("on-call".into(), places(&[&url])).await.state, State::Fine);
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut connection, &mut heard).await.unwrap();
        assert!(heard.is_empty(), "{heard:?}");
        drop(listener);
        let line = receiver("on-call".into(), places(&[&url])).await;
        assert!(
            line.state == State::Wrong && line.advice.unwrap().contains("deliveries test on-call"),
            "{}",
            line.found
        );
        assert!(places(&[&"nonsense".to_owned()]).is_err() && host_and_port("mail.example").is_err());
    }
}
