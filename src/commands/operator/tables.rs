//! Answers of the API as text: tables of lists, and pages of one incident, name or shift. Decides nothing.

use std::fmt::Write as _;

use serde_json::Value;

use crate::output::table;
use crate::wording::{did, short, shortened};

/// A field as text; nothing where there is none.
pub(super) fn text(value: &Value, field: &str) -> String {
    match &value[field] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Several texts in one cell.
pub(super) fn joined(value: &Value, field: &str) -> String {
    items(&value[field]).iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

/// To the second, as people read it.
pub(super) fn time(value: &Value, field: &str) -> String {
    text(value, field).chars().take(19).collect::<String>().replace('T', " ")
}

pub(super) fn listed(total: &Value, shown: usize) -> String {
    match total.as_u64() {
        Some(total) if total > shown as u64 => format!("\n{shown} of {total}; --limit shows more"),
        _ => String::new(),
    }
}

/// `incidents list`.
pub(super) fn incidents(answer: &Value) -> String {
    let shown = items(&answer["incidents"]);
    if shown.is_empty() {
        return "no incidents".to_owned();
    }
    incident_table(shown) + &listed(&answer["total"], shown.len())
}

/// Whether all alerts of an incident stand on nothing any more.
fn is_unconfirmed(incident: &Value) -> bool {
    incident["unconfirmed"].as_u64().is_some_and(|count| count > 0 && incident["alerts"] == count)
}

fn incident_table(incidents: &[Value]) -> String {
    let row = |incident: &Value| {
        let [severity, status] = ["severity", "status"].map(|field| text(incident, field));
        let [last, assignee] = [time(incident, "last"), text(incident, "assignee")];
        let back = if is_unconfirmed(incident) { "[unconfirmed] " } else { "" };
        let title = format!("{back}{}", shortened(&text(incident, "title")));
        [
            text(incident, "id"),
            severity,
            status,
            last,
            text(incident, "alerts"),
            text(incident, "pages"),
            assignee,
            title,
        ]
    };
    let headings = ["incident", "severity", "status", "last (UTC)", "alerts", "pages", "assignee", "what happened"];
    table(headings, incidents.iter().map(row))
}

/// `deliveries list`.
pub(in crate::commands) fn deliveries(answer: &Value) -> String {
    let receiver = |receiver: &Value| {
        let state = if receiver["down"] == Value::Bool(true) { "down" } else { "up" };
        let [name, waiting, dead] = ["name", "waiting", "dead"].map(|field| text(receiver, field));
        [name, state.to_owned(), waiting, dead, time(receiver, "last")]
    };
    let headings = ["receiver", "state", "waiting", "put aside", "last took one (UTC)"];
    let receivers = table(headings, items(&answer["receivers"]).iter().map(receiver));
    let letters = items(&answer["dead_letters"]);
    if letters.is_empty() {
        return receivers + "\nnothing was put aside";
    }
    let letter = |letter: &Value| {
        let [destination, severity, key] = ["destination", "severity", "key"].map(|field| text(letter, field));
        [destination, severity, key, time(letter, "died"), text(letter, "title"), text(letter, "reason")]
    };
    let headings = ["receiver", "severity", "key", "put aside (log time)", "what happened", "what the receiver said"];
    format!("{receivers}\n{}", table(headings, letters.iter().map(letter)))
}

/// `alerts list`.
pub(super) fn alerts(answer: &Value) -> String {
    let shown = items(&answer["alerts"]);
    if shown.is_empty() {
        return "no alerts".to_owned();
    }
    alert_table(shown) + &listed(&answer["total"], shown.len())
}

fn alert_table(alerts: &[Value]) -> String {
    let row = |alert: &Value| {
        let status = match alert["verdict"].as_str() {
            Some(verdict) => format!("resolved: {verdict}"),
            None => text(alert, "status"),
        };
        let rests = match alert["rests_on_tainted"].as_str() {
            Some("alone") => "[rests on tainted events alone] ",
            Some(_) => "[rests on tainted events in part] ",
            None => "",
        };
        let back = match alert["unconfirmed"]["final"].as_bool() {
            Some(true) => "[not on the chain] ",
            Some(false) => "[unconfirmed] ",
            None => "",
        };
        let title = format!("{back}{rests}{}", shortened(&text(alert, "title")));
        [
            text(alert, "id"),
            text(alert, "severity"),
            status,
            time(alert, "last"),
            text(alert, "counted"),
            text(alert, "rule"),
            title,
        ]
    };
    table(["alert", "severity", "status", "last (UTC)", "more", "rule", "what happened"], alerts.iter().map(row))
}

/// `alerts show` and `incidents show`.
pub(super) fn shown(incident: &Value) -> String {
    let mut page = format!("{} {}\n", text(incident, "severity").to_uppercase(), text(incident, "title"));
    let mut line = |label: &str, said: &str| {
        for (index, part) in said.lines().enumerate() {
            let _ = writeln!(page, "  {:<12} {part}", if index == 0 { label } else { "" });
        }
    };
    line("incident", &text(incident, "id"));
    line("system", &text(incident, "system"));
    line("status", &status(incident));
    line("assignee", &text(incident, "assignee"));
    line("log time", &format!("{} to {} UTC", time(incident, "opened"), time(incident, "last")));
    line("people told", &told(incident));
    for (label, field) in [
        ("wallets", "wallets"),
        ("destinations", "destinations"),
        ("requests", "requests"),
        ("transactions", "transactions"),
        ("sessions", "sessions"),
    ] {
        line(label, &joined(incident, field));
    }
    for alert in items(&incident["alert_list"]).iter().filter(|alert| alert["unconfirmed"].is_object()) {
        line("unconfirmed", &format!("{}: {}", text(alert, "rule"), text(&alert["unconfirmed"], "says")));
    }
    // What was asked for may be another alert than the one that the incident is named after.
    let finding = &incident["finding"];
    let found = text(finding, "title");
    if found != text(incident, "title") {
        line("found", &found);
    }
    line("why", &text(finding, "meaning"));
    line("do", &text(finding, "runbook"));
    if let Some(facts) = finding["facts"].as_object() {
        facts
            .iter()
            .for_each(|(name, value)| line("fact", &format!("{name} = {}", value.as_str().unwrap_or_default())));
    }
    line("evidence", &items(&finding["evidence"]).iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"));
    for response in items(&incident["responses"]) {
        let said = ["id", "status", "targets", "why"].map(|field| text(response, field));
        let [id, status, targets, why] = said;
        line("response", &format!("{id} {status} {targets}: {why}"));
    }
    for entry in items(&incident["history"]) {
        line("done", &act(entry));
    }
    let _ = writeln!(page, "\n{}", alert_table(items(&incident["alert_list"])));
    custody(&mut page, &incident["custody"]);
    page
}

/// How often people were told, and when last.
fn told(incident: &Value) -> String {
    match incident["pages"].as_u64() {
        None | Some(0) => "not yet".to_owned(),
        Some(1) => format!("once, {}", time(incident, "paged_at")),
        Some(times) => format!("{times} times, last {}", time(incident, "paged_at")),
    }
}

fn status(incident: &Value) -> String {
    let mut status = text(incident, "status");
    if let Some(by) = incident["acknowledged"]["by"].as_str() {
        let _ = write!(status, ", {by} saw it at {}", time(&incident["acknowledged"], "at"));
    }
    if let Some(name) = incident["assignee"].as_str() {
        let _ = write!(status, ", {name} sees to it");
    }
    let resolved = &incident["resolved"];
    if resolved.is_object() {
        let (verdict, by, reason) = (text(resolved, "verdict"), text(resolved, "by"), text(resolved, "reason"));
        let _ = write!(status, ", {by} says {verdict}: {reason}");
    }
    status
}

fn act(entry: &Value) -> String {
    format!("{} {} {}", time(entry, "at"), text(entry, "by"), did(entry))
}

fn custody(page: &mut String, chain: &Value) {
    let links = items(&chain["links"]).iter().map(|link| {
        let problems = joined(link, "problems");
        [text(link, "link"), text(link, "state"), text(link, "events"), problems]
    });
    let _ = writeln!(page, "\nchain of custody\n{}", table(["link", "state", "events", "what does not agree"], links));
    let rows = items(&chain["timeline"]).iter().map(|event| {
        let mark = if event["evidence"] == true { "evidence" } else { "" };
        let what = ["wallet", "request", "tx", "amount", "to_address", "outcome"].map(|field| named(event, field));
        let what = what.into_iter().filter(|said| !said.is_empty()).collect::<Vec<_>>().join(" ");
        let wrong = joined(event, "problems");
        [
            time(event, "time"),
            text(event, "kind"),
            text(event, "source"),
            named(event, "actor"),
            what,
            mark.to_owned(),
            wrong,
        ]
    });
    let headings = ["log time (UTC)", "kind", "source", "who", "what", "", "problem"];
    let _ = writeln!(page, "\n{}", table(headings, rows));
    if chain["complete"] == false {
        page.push_str("there are more events than are shown\n");
    }
}

/// A field of an event in the row of a timeline: names by their beginnings, amounts in the units that people use.
fn named(event: &Value, field: &str) -> String {
    match event["amount_in_words"].as_str() {
        Some(words) if field == "amount" => words.to_owned(),
        _ if field == "amount" => text(event, field),
        _ => short(&text(event, field)),
    }
}

/// What became of an operation.
pub(super) fn operated(answer: &Value) -> String {
    let what = if answer["changed"] == true { "done" } else { "it was so already" };
    format!("{what}: incident {} is {}", text(answer, "incident"), status(&answer["now"]))
}

/// `alerts ack`.
pub(super) fn acknowledged(answer: &Value) -> String {
    let line = |one: &Value| match one["error"].as_str() {
        Some(error) => format!("{}: NOT acknowledged: {error}", text(one, "id")),
        None if one["changed"] == true => format!("{}: acknowledged", text(one, "incident")),
        None => format!("{}: was acknowledged already", text(one, "incident")),
    };
    items(&answer["results"]).iter().map(line).collect::<Vec<_>>().join("\n")
}

/// One silence, and for an entry of the allow-list which findings it covers.
pub(super) fn silence(answer: &Value) -> String {
    let said = format!("silence {} is {} until {}", text(answer, "id"), text(answer, "status"), time(answer, "until"));
    if !answer["allows"].is_object() {
        return said;
    }
    let wider = joined(answer, "wider");
    let wider = if wider.is_empty() { String::new() } else { format!("\nwider than what was judged: {wider}") };
    format!("{said}\ncovers {}{wider}", matcher(&answer["matcher"]))
}

/// A verdict, and the entry of the allow-list that was made from it.
pub(super) fn allowed(answer: &Value) -> String {
    format!("{}\non the allow-list: {}", operated(&answer["resolved"]), silence(&answer["allowed"]))
}

/// `alerts silences`.
pub(super) fn silences(answer: &Value) -> String {
    let all = items(&answer["silences"]);
    if all.is_empty() { "no silences".to_owned() } else { silence_table(all) }
}

fn silence_table(silences: &[Value]) -> String {
    let row = |silence: &Value| {
        let who = [text(silence, "by"), text(silence, "approved_by")];
        let who = who.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(" and ");
        let [id, status] = ["id", "status"].map(|field| text(silence, field));
        let matcher = matcher(&silence["matcher"]);
        let wider = joined(silence, "wider");
        let wider = if wider.is_empty() { wider } else { format!(", wider: {wider}") };
        let made_from = if silence["allows"].is_object() { format!("a verdict{wider}") } else { String::new() };
        let covered = text(silence, "covered");
        [id, status, time(silence, "until"), who, matcher, covered, made_from, text(silence, "reason")]
    };
    let headings = ["silence", "status", "until (UTC)", "by", "which", "covered", "made from", "why"];
    table(headings, silences.iter().map(row))
}

/// What a silence covers, side by side.
fn matcher(matcher: &Value) -> String {
    let sides = matcher.as_object().into_iter().chain(matcher["facts"].as_object()).flatten();
    let said = sides.filter_map(|(name, value)| Some(format!("{name} {}", value.as_str()?)));
    said.collect::<Vec<_>>().join(", ")
}

/// Rules that are in shadow or off, or are to be.
pub(super) fn switch_table(switches: &[Value]) -> String {
    let row = |switch: &Value| {
        let who = [text(switch, "by"), text(switch, "approved_by"), text(switch, "ended_by")];
        let who = who.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(", ");
        let [id, status, rule] = ["id", "status", "rule"].map(|field| text(switch, field));
        let [to, system, reason] = ["to", "system", "reason"].map(|field| text(switch, field));
        [id, status, rule, to, system, time(switch, "until"), who, reason]
    };
    table(["id", "status", "rule", "to", "system", "until (UTC)", "by", "why"], switches.iter().map(row))
}

/// `keywatch about`.
pub(super) fn about(answer: &Value) -> String {
    let mut page = format!("{}: {} events", text(answer, "name"), text(answer, "events"));
    if answer["events"] != 0 {
        let _ = write!(page, ", {} to {} UTC", time(answer, "first"), time(answer, "last"));
    }
    page.push('\n');
    let fields: &[&str] = if answer["events"] == 0 { &[] } else { &["as", "kinds", "systems"] };
    for field in fields {
        let counts = answer[*field].as_object().into_iter().flatten().map(|(name, count)| format!("{name} {count}"));
        let _ = writeln!(page, "  {field:<8} {}", counts.collect::<Vec<_>>().join(", "));
    }
    if answer["events"] == 0 {
        let since = time(answer, "since");
        let _ = writeln!(page, "  nothing since {since} UTC; --since looks further back");
        page.push_str("  names are looked for as events have them, letter by letter, and in your systems alone\n");
    }
    if answer["complete"] == false {
        page.push_str("  the log was not gone through to its end; say --since\n");
    }
    let incidents = items(&answer["incidents"]);
    let _ = writeln!(
        page,
        "\n{}",
        if incidents.is_empty() { "no incidents".to_owned() } else { incident_table(incidents) }
    );
    let rows = items(&answer["newest"]).iter().map(|event| {
        let what = ["session", "wallet", "request", "tx", "amount", "to_address"].map(|field| text(event, field));
        let tainted = if event["tainted"] == true { "[tainted]".to_owned() } else { String::new() };
        let what = what.into_iter().chain([tainted]).filter(|said| !said.is_empty()).collect::<Vec<_>>().join(" ");
        [
            time(event, "time"),
            text(event, "kind"),
            text(event, "source"),
            text(event, "actor"),
            what,
            text(event, "outcome"),
        ]
    });
    if answer["events"] != 0 {
        let _ = writeln!(page, "\n{}", table(["log time (UTC)", "kind", "source", "who", "what", "outcome"], rows));
    }
    page
}

/// `alerts handover`.
pub(super) fn handover(report: &Value) -> String {
    let mut page = format!("shift from {} to {} UTC\n", time(report, "since"), time(report, "until"));
    for (heading, field) in [("not resolved", "unresolved"), ("opened", "opened"), ("resolved", "resolved")] {
        let incidents = items(&report[field]);
        let shown = if incidents.is_empty() { "none".to_owned() } else { incident_table(incidents) };
        let _ = writeln!(page, "\n{heading}: {}\n{shown}", incidents.len());
    }
    let acts = items(&report["acts"]);
    let _ = writeln!(page, "\ndone: {}", acts.len());
    for entry in acts {
        let _ = writeln!(page, "  {} {}", text(entry, "incident"), act(entry));
    }
    let or_none = |all: &[Value], table: fn(&[Value]) -> String| {
        if all.is_empty() { "none".to_owned() } else { table(all) }
    };
    let silences = items(&report["silences"]);
    let _ = writeln!(page, "\nsilences: {}\n{}", silences.len(), or_none(silences, silence_table));
    let switches = items(&report["switches"]);
    let _ = writeln!(page, "\nrules in shadow or off: {}\n{}", switches.len(), or_none(switches, switch_table));
    let _ = writeln!(page, "\nalerts of the shift by rule\n{}", or_none(items(&report["rules"]), rule_table));
    page
}

/// What each rule cost a shift.
fn rule_table(rules: &[Value]) -> String {
    let columns = ["rule", "alerts", "findings", "true", "false", "benign", "test", "retracted"];
    table(columns, rules.iter().map(|rule| columns.map(|field| text(rule, field))))
}
