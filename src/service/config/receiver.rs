//! `[[webhooks]]`, `[[receivers]]` and `[[routes]]` of the configuration: who is told, and how that one is reached. Data and
//! its checks; secrets stand in files that are named here and read elsewhere.

use std::path::PathBuf;

use anyhow::ensure;
use keywatch_alerting::{Pace, Route};
use serde::Deserialize;

/// A destination of notifications, signed as Standard Webhooks asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhook {
    /// Its name: what was delivered is recorded under it.
    pub(crate) name: String,
    /// Address, `https` unless it is this machine.
    pub(crate) url: String,
    /// Files with one `whsec_…` secret each, the newest first.
    pub(crate) secret_files: Vec<PathBuf>,
    /// Lets `http` leave the machine.
    #[serde(default)]
    pub(crate) allow_plain_http: bool,
    /// Networks of your own in which it may be.
    #[serde(default)]
    pub(crate) allow_networks: Vec<String>,
}

/// The receiver that is always there.
pub(crate) const STANDARD_ERROR: &str = "standard-error";

/// A receiver.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Receiver {
    /// Alertmanager, API v2.
    Alertmanager(AlertmanagerReceiver),
    /// `PagerDuty` Events, API v2.
    PagerDuty(PagerDutyReceiver),
    /// Signed as Standard Webhooks asks.
    Webhook(WebhookReceiver),
    /// Slack, incoming webhook.
    Slack(SlackReceiver),
    /// E-mail.
    Email(EmailReceiver),
    /// Lines to a SIEM.
    Siem(SiemReceiver),
}

/// A heartbeat beside a receiver: an address whose owner pages when it is asked no more.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeartbeatOf {
    /// The receiver, or webhook, for which it speaks.
    pub(crate) receiver: String,
    /// File with the address, which is a secret.
    pub(crate) url_file: PathBuf,
    #[serde(default)]
    pub(crate) addresses: Addresses,
}

/// How fast, and how long.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PaceSettings {
    /// Attempts in a minute.
    pub(crate) per_minute: u32,
    /// Hours after its first failure after which a notification is put aside.
    pub(crate) give_up_hours: u64,
}

/// Where a receiver may be, beyond public addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Addresses {
    /// Networks of your own, in CIDR notation.
    pub(crate) allow_networks: Vec<String>,
    /// Lets it be reached without TLS.
    pub(crate) allow_plain_http: bool,
}

/// Makes the settings of one kind of receiver of its own ones and of those that all have. They stand in each: where serde
/// flattens a struct into another it no longer names the settings that there are to who writes an unknown one.
macro_rules! receiver {
    ($(#[$about:meta])* $kind:ident, $pace:tt, { $($own:tt)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $kind {
            /// What deliveries are recorded under.
            pub(crate) name: String,
            $($own)*
            #[serde(default = $pace)]
            pub(crate) pace: PaceSettings,
            #[serde(default)]
            pub(crate) addresses: Addresses,
        }
    };
}

receiver! {
    /// `kind = "alertmanager"`.
    AlertmanagerReceiver, "PaceSettings::default", {
        /// Every replica.
        pub(crate) urls: Vec<String>,
        pub(crate) token_file: Option<PathBuf>,
    }
}

receiver! {
    /// `kind = "pagerduty"`.
    PagerDutyReceiver, "PaceSettings::default", {
        /// File with the routing key.
        pub(crate) key_file: PathBuf,
        pub(crate) url: Option<String>,
    }
}

receiver! {
    /// `kind = "webhook"`.
    WebhookReceiver, "PaceSettings::default", {
        /// Title in the operator's own words.
        pub(crate) title_template: Option<String>,
        /// Text in the operator's own words.
        pub(crate) body_template: Option<String>,
        pub(crate) url: String,
        /// Files with one `whsec_…` or `whsk_…` secret each, the newest first.
        pub(crate) secret_files: Vec<PathBuf>,
        /// `keywatch` or `ocsf`.
        #[serde(default)]
        pub(crate) format: BodyFormat,
        /// Whether it gets `keywatch.heartbeat` every minute.
        #[serde(default)]
        pub(crate) heartbeat: bool,
    }
}

receiver! {
    /// `kind = "slack"`.
    SlackReceiver, "slack_pace", {
        /// Title in the operator's own words.
        pub(crate) title_template: Option<String>,
        /// Text in the operator's own words.
        pub(crate) body_template: Option<String>,
        /// File with the address, which is the secret.
        pub(crate) url_file: PathBuf,
    }
}

receiver! {
    /// `kind = "email"`.
    EmailReceiver, "email_pace", {
        /// Title in the operator's own words.
        pub(crate) title_template: Option<String>,
        /// Text in the operator's own words.
        pub(crate) body_template: Option<String>,
        /// `host:port` of the SMTP server.
        pub(crate) smtp: String,
        #[serde(default)]
        pub(crate) smtp_tls: SmtpProtection,
        pub(crate) user: Option<String>,
        pub(crate) password_file: Option<PathBuf>,
        pub(crate) from: String,
        pub(crate) to: Vec<String>,
    }
}

receiver! {
    /// `kind = "siem"`.
    SiemReceiver, "PaceSettings::default", {
        /// File that lines are appended to.
        pub(crate) file: Option<PathBuf>,
        /// `host:port` that lines are sent to.
        pub(crate) tcp: Option<String>,
        /// Whether over TLS.
        #[serde(default)]
        pub(crate) tls: bool,
        /// PEM file with the only authorities that are trusted.
        pub(crate) ca_file: Option<PathBuf>,
        #[serde(default)]
        pub(crate) format: SiemFormat,
    }
}

/// What `data` of a webhook is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BodyFormat {
    #[default]
    Keywatch,
    Ocsf,
}

/// What a line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SiemFormat {
    #[default]
    Json,
    Ocsf,
    Cef,
}

/// How a connection to an SMTP server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SmtpProtection {
    #[default]
    Implicit,
    StartTls,
    None,
}

impl Default for PaceSettings {
    fn default() -> Self {
        let Pace { per_minute, give_up_after } = Pace::default();
        PaceSettings { per_minute, give_up_hours: give_up_after.as_secs() / 3_600 }
    }
}

/// About one message a second.
fn slack_pace() -> PaceSettings {
    PaceSettings { per_minute: 50, ..PaceSettings::default() }
}

/// A flood of mails helps nobody, and makes a server refuse the next.
fn email_pace() -> PaceSettings {
    PaceSettings { per_minute: 30, ..PaceSettings::default() }
}

impl Receiver {
    /// What deliveries are recorded under, and what routes say.
    pub(crate) fn name(&self) -> &str {
        match self {
            Receiver::Alertmanager(receiver) => &receiver.name,
            Receiver::PagerDuty(receiver) => &receiver.name,
            Receiver::Webhook(receiver) => &receiver.name,
            Receiver::Slack(receiver) => &receiver.name,
            Receiver::Email(receiver) => &receiver.name,
            Receiver::Siem(receiver) => &receiver.name,
        }
    }

    /// Templates of title and text, where there are any.
    pub(crate) fn templates(&self) -> [Option<&str>; 2] {
        let (title, body) = match self {
            Receiver::Webhook(receiver) => (&receiver.title_template, &receiver.body_template),
            Receiver::Slack(receiver) => (&receiver.title_template, &receiver.body_template),
            Receiver::Email(receiver) => (&receiver.title_template, &receiver.body_template),
            Receiver::Alertmanager(_) | Receiver::PagerDuty(_) | Receiver::Siem(_) => (&None, &None),
        };
        [title.as_deref(), body.as_deref()]
    }

    /// Paths that are meant from where the configuration is.
    pub(crate) fn paths(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Receiver::Alertmanager(receiver) => receiver.token_file.iter_mut().collect(),
            Receiver::PagerDuty(receiver) => vec![&mut receiver.key_file],
            Receiver::Webhook(receiver) => receiver.secret_files.iter_mut().collect(),
            Receiver::Slack(receiver) => vec![&mut receiver.url_file],
            Receiver::Email(receiver) => receiver.password_file.iter_mut().collect(),
            Receiver::Siem(receiver) => receiver.file.iter_mut().chain(&mut receiver.ca_file).collect(),
        }
    }
}

/// Names are what deliveries are recorded under, and what routes speak of.
///
/// # Errors
/// A name that is there twice, a route that cannot be followed.
pub(crate) fn check(
    webhooks: &[Webhook],
    receivers: &[Receiver],
    heartbeats: &[HeartbeatOf],
    routes: &[Route],
) -> anyhow::Result<()> {
    let mut names = vec![STANDARD_ERROR.to_owned()];
    let webhooks = webhooks.iter().map(|webhook| webhook.name.as_str());
    for name in webhooks.chain(receivers.iter().map(Receiver::name)) {
        ensure!(!names.iter().any(|known| known == name), "there are two receivers `{name}`; each needs its own name");
        names.push(name.to_owned());
    }
    for (index, HeartbeatOf { receiver, .. }) in heartbeats.iter().enumerate() {
        let is_receiver = names.iter().any(|name| name == receiver && name != STANDARD_ERROR);
        ensure!(is_receiver, "heartbeats[{index}]: there is no receiver `{receiver}`");
        let twice = heartbeats[..index].iter().any(|other| other.receiver == *receiver);
        ensure!(!twice, "heartbeats[{index}]: `{receiver}` has one already");
    }
    for (index, route) in routes.iter().enumerate() {
        route.check(&names).map_err(|problem| anyhow::anyhow!("routes[{index}]: {problem}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_receiver_has_its_own_name_and_routes_name_receivers_that_there_are() {
        let receiver = |name: &str| {
            let text = format!("kind = 'siem'\nname = '{name}'\nfile = 'findings.jsonl'");
            toml::from_str::<Receiver>(&text).unwrap()
        };
        let route = |name: &str| toml::from_str::<Route>(&format!("receivers = ['{name}']")).unwrap();
        let heartbeat = |name: &str| {
            let text = format!("receiver = '{name}'\nurl_file = 'heartbeat.url'");
            toml::from_str::<HeartbeatOf>(&text).unwrap()
        };
        let webhook = Webhook { name: "on-call".into(), ..Webhook::default() };
        check(
            std::slice::from_ref(&webhook),
            &[receiver("siem")],
            &[heartbeat("on-call"), heartbeat("siem")],
            &[route("on-call"), route("siem"), route(STANDARD_ERROR)],
        )
        .unwrap();
        for (receivers, routes, expected) in [
            (vec![receiver("on-call")], Vec::new(), "two receivers `on-call`"),
            (vec![receiver(STANDARD_ERROR)], Vec::new(), "two receivers `standard-error`"),
            (Vec::new(), vec![route("siem")], "routes[0]: there is no receiver `siem`"),
        ] {
            let problem = check(std::slice::from_ref(&webhook), &receivers, &[], &routes).unwrap_err().to_string();
            assert!(problem.contains(expected), "{problem}");
        }
        for (heartbeats, expected) in [
            (vec![heartbeat("siem")], "heartbeats[0]: there is no receiver `siem`"),
            (vec![heartbeat(STANDARD_ERROR)], "heartbeats[0]: there is no receiver `standard-error`"),
            (vec![heartbeat("on-call"), heartbeat("on-call")], "heartbeats[1]: `on-call` has one already"),
        ] {
            let problem = check(std::slice::from_ref(&webhook), &[], &heartbeats, &[]).unwrap_err().to_string();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
