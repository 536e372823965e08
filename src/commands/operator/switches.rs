//! `keywatch detectors shadow`, `off`, `on`, `approve`, `switches` and `list --running`: what is left of a rule of a running
//! keywatch, and who made it so.

use std::process::ExitCode;

use anyhow::bail;
use keywatch_store::Instant;
use serde_json::{Value, json};

use super::client::Server;
use super::print;
use super::tables::{items, joined, switch_table, text, time};
use crate::output::table;

/// What is asked for of a rule.
#[derive(Debug, clap::Args)]
pub(crate) struct Lower {
    /// Rule by id, `family/name`
    #[arg(value_name = "RULE")]
    rule: String,
    /// The system; it may be left out where you have but one
    #[arg(long)]
    system: Option<String>,
    /// Why; it stands in the log with your name, and everybody is told
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// When the rule is on again, fourteen days ahead at most
    #[arg(long, value_name = "TIME")]
    until: Instant,
    #[command(flatten)]
    server: Server,
}

/// Which rule is on again.
#[derive(Debug, clap::Args)]
pub(crate) struct Raise {
    /// Rule by id, `family/name`
    #[arg(value_name = "RULE")]
    rule: String,
    /// The system; it may be left out where you have but one
    #[arg(long)]
    system: Option<String>,
    /// Why; it stands in the log with your name
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    server: Server,
}

/// What somebody agrees to.
#[derive(Debug, clap::Args)]
pub(crate) struct Approve {
    /// Id of what was asked for
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    server: Server,
}

/// Whom to ask for all of them.
#[derive(Debug, clap::Args)]
pub(crate) struct Listed {
    #[command(flatten)]
    server: Server,
}

/// Asks that a rule is put into `shadow` or switched `off`.
///
/// # Errors
/// keywatch cannot be reached, or it says no; there are several systems, and none is named.
pub(crate) fn lower(wanted: &Lower, to: &str) -> anyhow::Result<ExitCode> {
    let Lower { rule, system, reason, until, server } = wanted;
    let system = system_of(server, system.as_deref())?;
    let body = json!({ "system": system, "rule": rule, "to": to, "reason": reason, "until": until });
    print(server, &server.post(&["switches"], &body)?, listed)
}

/// Switches a rule on again.
///
/// # Errors
/// As [`lower`].
pub(crate) fn raise(wanted: &Raise) -> anyhow::Result<ExitCode> {
    let Raise { rule, system, reason, server } = wanted;
    let system = system_of(server, system.as_deref())?;
    let body = json!({ "system": system, "rule": rule, "to": "on", "reason": reason });
    print(server, &server.post(&["switches"], &body)?, listed)
}

/// Agrees to what somebody else asked for.
///
/// # Errors
/// keywatch cannot be reached, or it says no.
pub(crate) fn approve(wanted: &Approve) -> anyhow::Result<ExitCode> {
    let Approve { id, server } = wanted;
    print(server, &server.post(&["switches", id, "approve"], &json!({}))?, listed)
}

/// Lists the rules that are in shadow or off, or are to be.
///
/// # Errors
/// keywatch cannot be reached, or it says no.
pub(crate) fn list(wanted: &Listed) -> anyhow::Result<ExitCode> {
    print(&wanted.server, &wanted.server.get(&["switches"], &[])?, listed)
}

/// Lists the rules that run, each with how it stands.
///
/// # Errors
/// keywatch cannot be reached, or it says no.
pub(crate) fn running(server: &Server) -> anyhow::Result<ExitCode> {
    let mut answer = server.get(&["rules"], &[])?;
    answer["switches"] = server.get(&["switches"], &[])?["switches"].take();
    print(server, &answer, rules)
}

fn system_of(server: &Server, named: Option<&str>) -> anyhow::Result<String> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let answer = server.get(&["switches"], &[])?;
    match items(&answer["systems"]) {
        [one] => Ok(one.as_str().unwrap_or_default().to_owned()),
        _ => bail!("say in which system, with --system; yours are: {}", joined(&answer, "systems")),
    }
}

fn listed(answer: &Value) -> String {
    let all = items(&answer["switches"]);
    if all.is_empty() { "nobody has switched a rule".to_owned() } else { switch_table(all) }
}

fn rules(answer: &Value) -> String {
    let row = |rule: &Value| {
        let [id, severity, title] = ["id", "severity", "title"].map(|field| text(rule, field));
        let active = items(&answer["switches"]).iter().filter(|switch| switch["status"] == "active");
        let own: Vec<String> = active.filter(|switch| switch["rule"] == id.as_str()).map(standing).collect();
        let standing = if own.is_empty() { "on".to_owned() } else { own.join("; ") };
        [id, severity, standing, title]
    };
    table(["rule", "severity", "stands", "title"], items(&answer["rules"]).iter().map(row))
}

fn standing(switch: &Value) -> String {
    let [to, system, by, second] = ["to", "system", "by", "approved_by"].map(|field| text(switch, field));
    format!("{to} in {system} until {} UTC, by {by} and {second}: {}", time(switch, "until"), text(switch, "reason"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_stands_as_what_is_active_says() {
        let switch = |status: &str, to: &str| {
            json!({ "rule": "own/a", "system": "cold", "status": status, "to": to, "until": "2026-03-04T18:00:00Z",
                    "by": "bob", "approved_by": "carol", "reason": "a migration" })
        };
        let rule = |id: &str| json!({ "id": id, "severity": "high", "title": "t" });
        let said = rules(&json!({
            "rules": [rule("own/a"), rule("own/b")],
            "switches": [switch("active", "off"), switch("waiting for a second person", "shadow"), switch("ended", "shadow")],
        }));
        assert!(said.contains("off in cold until 2026-03-04 18:00:00 UTC, by bob and carol: a migration"), "{said}");
        assert!(!said.contains("shadow"), "{said}");
        assert!(said.lines().any(|line| line.contains("own/b") && line.contains(" on ")), "{said}");
    }
}
