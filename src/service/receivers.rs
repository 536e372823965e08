//! `[[receivers]]` of the configuration, a kind each, made into the sinks of alerting. Reads secret files; sends nothing.
//! Secrets never stand in the configuration itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use keywatch_alerting::delivery::heartbeat::{Heartbeat, HeartbeatSettings, Obstacle};
use keywatch_alerting::delivery::receivers::alertmanager::{Alertmanager, AlertmanagerSettings};
use keywatch_alerting::delivery::receivers::email::{Email, EmailSettings, SmtpTls};
use keywatch_alerting::delivery::receivers::pagerduty::{PagerDuty, PagerDutySettings};
use keywatch_alerting::delivery::receivers::siem::{LineFormat, LineTarget, LineTls, Siem, SiemSettings};
use keywatch_alerting::delivery::receivers::slack::{Slack, SlackSettings};
use keywatch_alerting::delivery::template::{Template, Templated};
use keywatch_alerting::{AddressRules, Network, Pace, Secret, Sink, Webhook, WebhookSettings};

use crate::clock;
use crate::service::config::receiver::{
    Addresses, AlertmanagerReceiver, BodyFormat, EmailReceiver, HeartbeatOf, PaceSettings, PagerDutyReceiver, Receiver,
    SiemFormat, SiemReceiver, SlackReceiver, SmtpProtection, WebhookReceiver,
};
use crate::service::text_file::read;

/// The sink of a receiver.
///
/// # Errors
/// A secret file that cannot be read or holds no secret, an address that is refused.
pub(crate) fn sink(receiver: &Receiver) -> anyhow::Result<Arc<dyn Sink>> {
    let made = match receiver {
        Receiver::Alertmanager(receiver) => alertmanager(receiver),
        Receiver::PagerDuty(receiver) => pagerduty(receiver),
        Receiver::Webhook(receiver) => webhook(receiver),
        Receiver::Slack(receiver) => slack(receiver),
        Receiver::Email(receiver) => email(receiver),
        Receiver::Siem(receiver) => siem(receiver),
    };
    made.and_then(|sink| in_own_words(sink, receiver)).with_context(|| format!("receiver `{}`", receiver.name()))
}

/// Where the number of the partition stands in the address of a heartbeat.
const PARTITION: &str = "{partition}";

/// The receivers, each with its heartbeat where it has one. `obstacle` says what keeps keywatch from working.
///
/// # Errors
/// A file that cannot be read or holds no address, an address that is refused.
pub(crate) fn with_heartbeats(
    sinks: Vec<Arc<dyn Sink>>,
    heartbeats: &[HeartbeatOf],
    partition: u32,
    obstacle: &Obstacle,
) -> anyhow::Result<Vec<Arc<dyn Sink>>> {
    let with_it = |sink: Arc<dyn Sink>| {
        let Some(configured) = heartbeats.iter().find(|heartbeat| heartbeat.receiver == sink.name()) else {
            return Ok(sink);
        };
        let beating = || {
            let settings = HeartbeatSettings {
                url: secret_line(&configured.url_file)?.replace(PARTITION, &partition.to_string()),
                addresses: configured.addresses.rules()?,
                obstacle: Arc::clone(obstacle),
            };
            Ok::<Arc<dyn Sink>, anyhow::Error>(Arc::new(Heartbeat::of(Arc::clone(&sink), settings)?))
        };
        beating().with_context(|| format!("heartbeat of `{}`", configured.receiver))
    };
    sinks.into_iter().map(with_it).collect()
}

/// Checks that each partition has a heartbeat of its own: at one address, one that lives would hide those that do not.
///
/// # Errors
/// A file that cannot be read or holds no address, an address that is the same for all.
pub(crate) fn check_heartbeats_of_partitions(heartbeats: &[HeartbeatOf]) -> anyhow::Result<()> {
    for HeartbeatOf { receiver, url_file, .. } in heartbeats {
        let is_of_one = secret_line(url_file).map(|url| url.contains(PARTITION));
        let is_of_one = is_of_one.with_context(|| format!("heartbeat of `{receiver}`"))?;
        ensure!(
            is_of_one,
            "heartbeat of `{receiver}`: {}: partitions that all ask one address hide it when one of them stops; write \
             {PARTITION} where its number belongs, and have a check for each",
            url_file.display()
        );
    }
    Ok(())
}

fn in_own_words(sink: Arc<dyn Sink>, receiver: &Receiver) -> anyhow::Result<Arc<dyn Sink>> {
    let [title, body] = receiver.templates();
    let read = |field: &str, text: Option<&str>| {
        let template = text.map(Template::parse).transpose();
        template.map_err(|problem| anyhow::anyhow!("{field}: {problem}"))
    };
    Ok(Templated::over(sink, read("title_template", title)?, read("body_template", body)?))
}

/// What addresses are allowed.
///
/// # Errors
/// A network that is none.
pub(crate) fn address_rules(networks: &[String], allow_plain_http: bool) -> anyhow::Result<AddressRules> {
    let network =
        |text: &String| text.parse::<Network>().map_err(|problem| anyhow::anyhow!("allow_networks: {problem}"));
    let allow_networks = networks.iter().map(network).collect::<anyhow::Result<_>>()?;
    Ok(AddressRules { allow_networks, allow_plain_http })
}

/// Secrets that sign, from a file each.
///
/// # Errors
/// A file that cannot be read or holds no secret.
pub(crate) fn secrets(files: &[PathBuf]) -> anyhow::Result<Vec<Secret>> {
    let secret = |file: &PathBuf| {
        Secret::parse(&read(file)?).map_err(|problem| anyhow::anyhow!("{}: {problem}", file.display()))
    };
    files.iter().map(secret).collect()
}

fn alertmanager(receiver: &AlertmanagerReceiver) -> anyhow::Result<Arc<dyn Sink>> {
    let settings = AlertmanagerSettings {
        name: receiver.name.clone(),
        urls: receiver.urls.clone(),
        token: receiver.token_file.as_deref().map(secret_line).transpose()?,
        addresses: receiver.addresses.rules()?,
        pace: receiver.pace.pace(),
    };
    Ok(Arc::new(Alertmanager::new(settings, Arc::new(clock::now))?))
}

fn pagerduty(receiver: &PagerDutyReceiver) -> anyhow::Result<Arc<dyn Sink>> {
    let settings = PagerDutySettings {
        name: receiver.name.clone(),
        url: receiver.url.clone(),
        routing_key: secret_line(&receiver.key_file)?,
        addresses: receiver.addresses.rules()?,
        pace: receiver.pace.pace(),
    };
    Ok(Arc::new(PagerDuty::new(settings)?))
}

fn webhook(receiver: &WebhookReceiver) -> anyhow::Result<Arc<dyn Sink>> {
    let settings = WebhookSettings {
        name: receiver.name.clone(),
        url: receiver.url.clone(),
        secrets: secrets(&receiver.secret_files)?,
        addresses: receiver.addresses.rules()?,
        ocsf: receiver.format == BodyFormat::Ocsf,
        heartbeat: receiver.heartbeat,
        pace: receiver.pace.pace(),
    };
    Ok(Arc::new(Webhook::new(settings, Arc::new(clock::now))?))
}

fn slack(receiver: &SlackReceiver) -> anyhow::Result<Arc<dyn Sink>> {
    let settings = SlackSettings {
        name: receiver.name.clone(),
        url: secret_line(&receiver.url_file)?,
        addresses: receiver.addresses.rules()?,
        pace: receiver.pace.pace(),
    };
    Ok(Arc::new(Slack::new(settings)?))
}

fn email(receiver: &EmailReceiver) -> anyhow::Result<Arc<dyn Sink>> {
    let (host, port) = host_and_port(&receiver.smtp).context("smtp")?;
    let credentials = match (&receiver.user, &receiver.password_file) {
        (Some(user), Some(file)) => Some((user.clone(), secret_line(file)?)),
        (None, None) => None,
        _ => bail!("user and password_file belong together"),
    };
    let settings = EmailSettings {
        name: receiver.name.clone(),
        host,
        port,
        tls: match receiver.smtp_tls {
            SmtpProtection::Implicit => SmtpTls::Implicit,
            SmtpProtection::StartTls => SmtpTls::StartTls,
            SmtpProtection::None => SmtpTls::None,
        },
        credentials,
        from: receiver.from.clone(),
        to: receiver.to.clone(),
        addresses: receiver.addresses.rules()?,
        pace: receiver.pace.pace(),
    };
    Ok(Arc::new(Email::new(settings, Arc::new(clock::now))?))
}

fn siem(receiver: &SiemReceiver) -> anyhow::Result<Arc<dyn Sink>> {
    let target = match (&receiver.file, &receiver.tcp) {
        (Some(file), None) => LineTarget::File(file.clone()),
        (None, Some(tcp)) => {
            let (host, port) = host_and_port(tcp).context("tcp")?;
            let tls = match (receiver.tls, &receiver.ca_file) {
                (true, Some(file)) => LineTls::Only(file.clone()),
                (true, None) => LineTls::System,
                (false, None) => LineTls::None,
                (false, Some(_)) => bail!("ca_file: only with tls = true"),
            };
            LineTarget::Tcp { host, port, tls }
        }
        _ => bail!("write either file or tcp"),
    };
    let settings = SiemSettings {
        name: receiver.name.clone(),
        target,
        format: match receiver.format {
            SiemFormat::Json => LineFormat::Json,
            SiemFormat::Ocsf => LineFormat::Ocsf,
            SiemFormat::Cef => LineFormat::Cef,
        },
        addresses: receiver.addresses.rules()?,
        pace: receiver.pace.pace(),
    };
    Ok(Arc::new(Siem::new(settings, Arc::new(clock::now))?))
}

impl PaceSettings {
    fn pace(&self) -> Pace {
        Pace {
            per_minute: self.per_minute,
            give_up_after: Duration::from_secs(self.give_up_hours.saturating_mul(3_600)),
        }
    }
}

impl Addresses {
    pub(super) fn rules(&self) -> anyhow::Result<AddressRules> {
        address_rules(&self.allow_networks, self.allow_plain_http)
    }
}

/// A secret that stands in a file alone.
fn secret_line(file: &Path) -> anyhow::Result<String> {
    let text = read(file)?.trim().to_owned();
    if text.is_empty() || text.chars().any(char::is_whitespace) {
        bail!("{}: holds no secret, or more than one", file.display());
    }
    Ok(text)
}

fn host_and_port(text: &str) -> anyhow::Result<(String, u16)> {
    let wrong = || anyhow::anyhow!("`{text}` is not HOST:PORT");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(wrong());
    }
    Ok((host.to_owned(), port.parse().map_err(|_| wrong())?))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        #[serde(default)]
        receivers: Vec<Receiver>,
        #[serde(default)]
        heartbeats: Vec<HeartbeatOf>,
        #[serde(default)]
        #[expect(dead_code, reason = "read to see that it can be")]
        routes: Vec<keywatch_alerting::Route>,
    }

    /// Every example of the documentation, with the files that it names.
    #[test]
    fn every_example_of_the_documentation_is_a_receiver() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let page = include_str!("../../docs/delivery.md");
        let directory = tempfile::tempdir().unwrap();
        let mut kinds = HashSet::new();
        for block in page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
            let example: Example = toml::from_str(block).unwrap_or_else(|error| panic!("{error}\n{block}"));
            for mut receiver in example.receivers {
                for path in receiver.paths() {
                    *path = directory.path().join(&*path);
                    let secret = match path.extension().and_then(|extension| extension.to_str()) {
                        Some("secret") => "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
                        Some("key") => "0123456789abcdef0123456789abcdef",
                        Some("url") => "https://hooks.slack.com/services/T/B/x",
                        _ => "a-secret",
                    };
                    std::fs::write(path, secret).unwrap();
                }
                kinds.insert(std::mem::discriminant(&receiver));
                // Its authority is no certificate here.
                if matches!(&receiver, Receiver::Siem(siem) if siem.tls) {
                    continue;
                }
                let made = sink(&receiver).unwrap_or_else(|error| panic!("{error:#}\n{block}"));
                assert_eq!(made.name(), receiver.name());
                let url_file = directory.path().join("heartbeat.url");
                std::fs::write(&url_file, "https://beats.example/ping/x").unwrap();
                let mut heartbeats = example.heartbeats.clone();
                heartbeats.iter_mut().for_each(|heartbeat| heartbeat.url_file.clone_from(&url_file));
                let is_meant = heartbeats.iter().any(|heartbeat| heartbeat.receiver == receiver.name());
                let repeats = made.repeats();
                let made = with_heartbeats(vec![made], &heartbeats, 0, &(Arc::new(|| None) as Obstacle)).unwrap();
                assert_eq!(made[0].repeats(), repeats || is_meant);
            }
        }
        assert_eq!(kinds.len(), 6, "each kind has an example");
    }

    #[test]
    fn partitions_that_share_one_heartbeat_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("heartbeat.url");
        let text = format!("receiver = 'on-call'\nurl_file = '{}'\n", file.display());
        let heartbeats = [toml::from_str::<HeartbeatOf>(&text).unwrap()];
        let check = || check_heartbeats_of_partitions(&heartbeats).map_err(|error| format!("{error:#}"));
        assert!(check().unwrap_err().contains("heartbeat of `on-call`"), "there is no file");
        std::fs::write(&file, "https://beats.example/ping/keywatch\n").unwrap();
        assert!(check().unwrap_err().contains("write {partition} where its number belongs"));
        std::fs::write(&file, "https://beats.example/ping/keywatch-{partition}\n").unwrap();
        assert_eq!(check(), Ok(()));
    }

    #[test]
    fn a_template_that_names_what_does_not_exist_is_refused_at_the_start() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        let secret = directory.path().join("hook.secret");
        std::fs::write(&secret, "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX").unwrap();
        let made = |template: &str| {
            let file = secret.display();
            let head = format!("kind = 'webhook'\nname = 'a'\nurl = 'https://x.example'\nsecret_files = ['{file}']\n");
            sink(&toml::from_str::<Receiver>(&format!("{head}{template}")).unwrap())
        };
        assert_eq!(made("title_template = '{severity} {title}'\nbody_template = '{did}'").unwrap().name(), "a");
        let error = format!("{:#}", made("body_template = '{colour}'").err().unwrap());
        assert!(error.contains("receiver `a`: body_template: there is no `{colour}`"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for (text, expected) in [
            ("kind = 'pager'\nname = 'a'", "unknown variant"),
            ("kind = 'slack'\nname = 'a'\nurl = 'https://x'", "unknown field `url`"),
            ("kind = 'siem'\nname = 'a'\ntitle_template = '{title}'", "unknown field `title_template`"),
            ("kind = 'siem'\nname = 'a'", "either file or tcp"),
            ("kind = 'siem'\nname = 'a'\ntcp = 'siem'", "HOST:PORT"),
            ("kind = 'siem'\nname = 'a'\ntcp = 'siem.example:514'", "tls = true"),
            ("kind = 'alertmanager'\nname = 'a'\nurls = []", "names no replica"),
            ("kind = 'alertmanager'\nname = 'a'\nurls = ['https://10.0.0.1']", "allow_networks"),
            ("kind = 'alertmanager'\nname = 'a'\nurls = ['http://a.example']", "allow_plain_http"),
            ("kind = 'pagerduty'\nname = 'a'\nkey_file = '/nowhere'", "cannot read"),
            ("kind = 'email'\nname = 'a'\nsmtp = 'h:25'\nfrom = 'x'\nto = ['a@b.example']", "no mailbox"),
            (
                "kind = 'email'\nname = 'a'\nsmtp = 'h:25'\nsmtp_tls = 'none'\nfrom = 'a@b.example'\nto = ['a@b.example']",
                "this machine only",
            ),
        ] {
            let made = toml::from_str::<Receiver>(text).map_err(anyhow::Error::from).and_then(|made| sink(&made));
            let error = made.err().map(|error| format!("{error:#}")).unwrap_or_default();
            assert!(error.contains(expected), "{text}\n{error}");
        }
    }
}
