//! What each panel should show after an incident, computed from the records of the log: none of it goes through a metric.

use std::collections::{BTreeMap, BTreeSet};

use keywatch_store::{Event, Severity};
use serde_json::Value;

/// What a panel should show.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expected {
    /// One number; no sample at all is shown as none.
    Number(f64),
    /// The sum over all samples.
    Total(f64),
    /// A number for the values of these labels; zeros may be left out.
    By(&'static [&'static str], BTreeMap<String, f64>),
    /// So many samples at least, each from the first to the second.
    Within(f64, f64, usize),
}

/// What the log holds, and what was sent that it does not hold.
pub(super) struct Facts {
    /// Records of the events topic without ticks.
    pub(super) events: Vec<Event>,
    /// Records of the conclusions topic.
    pub(super) conclusions: Vec<Event>,
    /// Answers by feed and status.
    pub(super) answers: BTreeMap<String, f64>,
    /// Events that were sent again, by source.
    pub(super) repeats: BTreeMap<String, f64>,
    /// Wallets of the inventory.
    pub(super) wallets: BTreeSet<String>,
}

type Of<'a> = &'a dyn Fn(&Event) -> Option<String>;

fn tally(records: &[Event], key: Of<'_>) -> BTreeMap<String, f64> {
    let mut counts = BTreeMap::new();
    for key in records.iter().filter_map(key) {
        *counts.entry(key).or_insert(0.0) += 1.0;
    }
    counts
}

fn number(records: &[Event], is: impl Fn(&Event) -> bool) -> Expected {
    Expected::Number(f64::from(u32::try_from(records.iter().filter(|event| is(event)).count()).unwrap()))
}

fn is(kinds: &'static [&'static str]) -> impl Fn(&Event) -> bool {
    move |event| kinds.contains(&event.kind())
}

fn has(kinds: &'static [&'static str], outcomes: &'static [&'static str]) -> impl Fn(&Event) -> bool {
    move |event| kinds.contains(&event.kind()) && event.outcome().is_some_and(|outcome| outcomes.contains(&outcome))
}

impl Facts {
    /// The wallet as metrics name it.
    fn wallet(&self, event: &Event) -> String {
        match event.wallet() {
            Some(wallet) if self.wallets.contains(wallet) => wallet.to_owned(),
            Some(_) => "undeclared".to_owned(),
            None => String::new(),
        }
    }

    fn by(&self, labels: &'static [&'static str], key: Of<'_>) -> Expected {
        Expected::By(labels, tally(&self.events, key))
    }

    fn by_wallet(&self, family: &'static str) -> Expected {
        self.by(&["wallet", "kind"], &|event| {
            event.kind().starts_with(family).then(|| format!("{} {}", self.wallet(event), event.kind()))
        })
    }

    fn by_outcome(&self, kind: &'static str) -> Expected {
        let outcome = |event: &Event| event.outcome().unwrap_or_default().to_owned();
        self.by(&["outcome"], &|event| (event.kind() == kind).then(|| outcome(event)))
    }

    /// Findings of the rules of a family, by those of system, wallet, rule and severity that are asked for.
    fn findings(&self, families: &[&str], labels: &'static [&'static str]) -> Expected {
        let key = |event: &Event| {
            let detail = event.detail().value();
            let rule = detail["rule"].as_str().unwrap_or_default().to_owned();
            let asked = event.kind() == "finding.created" && families.iter().any(|family| rule.starts_with(family));
            let value = |label: &&str| match *label {
                "system" => event.system().to_owned(),
                "wallet" => self.wallet(event),
                _ => detail[*label].as_str().unwrap_or_default().to_owned(),
            };
            asked.then(|| labels.iter().map(value).collect::<Vec<_>>().join(" "))
        };
        Expected::By(labels, tally(&self.conclusions, &key))
    }

    fn alerts(&self, labels: &'static [&'static str]) -> Expected {
        let key = |event: &Event| {
            let step = event
                .kind()
                .strip_prefix("alert.")
                .filter(|step| ["opened", "updated", "suppressed"].contains(step))?;
            let detail = event.detail().value();
            let value = |label: &&str| match *label {
                "step" => step.to_owned(),
                _ => detail["finding"][*label].as_str().unwrap_or_default().to_owned(),
            };
            Some(labels.iter().map(value).collect::<Vec<_>>().join(" "))
        };
        Expected::By(labels, tally(&self.conclusions, &key))
    }

    /// Incidents by their worst severity told.
    fn incidents(&self, severity: Severity) -> Expected {
        let (mut alerts, mut merged) = (BTreeMap::<String, (String, Severity)>::new(), BTreeSet::new());
        for event in &self.conclusions {
            if !matches!(event.kind(), "alert.opened" | "alert.updated" | "alert.suppressed") {
                continue;
            }
            let detail = event.detail().value();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let found: Severity = serde_json::from_value(detail["finding"]["severity"].clone()).unwrap();
            let alert = alerts.entry(text(&detail["alert_id"])).or_insert((String::new(), found));
            alert.0 = text(&detail["incident"]);
            if event.kind() != "alert.suppressed" {
                alert.1 = alert.1.max(found);
            }
            merged.extend(detail["merges"].as_array().into_iter().flatten().map(text));
        }
        let mut worst = BTreeMap::<&String, Severity>::new();
        for (incident, told) in alerts.values().filter(|(incident, _)| !merged.contains(incident)) {
            let severity = worst.entry(incident).or_insert(*told);
            *severity = (*severity).max(*told);
        }
        Expected::Number(f64::from(u32::try_from(worst.values().filter(|found| **found == severity).count()).unwrap()))
    }

    /// The ids of all alerts.
    pub(super) fn alert_ids(&self) -> BTreeSet<String> {
        let id = |event: &Event| event.detail().value()["alert_id"].as_str().map(str::to_owned);
        self.conclusions.iter().filter_map(id).collect()
    }

    /// Every panel, by the file of its dashboard and its title.
    pub(super) fn table(&self) -> Vec<(&'static str, Vec<(&'static str, Expected)>)> {
        vec![
            ("keywatch-soc", self.overview()),
            ("keywatch-custody", self.custody()),
            ("keywatch-sessions", self.sessions()),
            ("keywatch-signing", self.signing()),
            ("keywatch-chains", self.chains()),
            ("keywatch-pdp", self.decision_point()),
            ("keywatch-pipeline", self.pipeline()),
            ("keywatch-noise", self.noise()),
        ]
    }

    fn overview(&self) -> Vec<(&'static str, Expected)> {
        vec![
            ("Open incidents: critical", self.incidents(Severity::Critical)),
            ("Open incidents: high", self.incidents(Severity::High)),
            ("Open incidents: medium", self.incidents(Severity::Medium)),
            ("Revocations not yet proved", Expected::Number(0.0)),
            ("keywatch is ready", Expected::Number(1.0)),
            ("Notifications waiting", Expected::Number(0.0)),
            ("Findings", self.findings(&[""], &["severity"])),
            ("Newest findings by rule", self.findings(&[""], &["system", "wallet", "rule", "severity"])),
            ("How long each step takes: half of the time", Expected::Within(0.0, 60.0, 8)),
            ("How long each step takes: at worst", Expected::Within(0.0, 60.0, 8)),
            ("Silence of sources", Expected::Within(0.0, 600.0, 4)),
        ]
    }

    fn custody(&self) -> Vec<(&'static str, Expected)> {
        const LINKS: [&str; 6] =
            ["custody.request", "decision", "signing.requested", "signing.approved", "signing.signed", "chain.tx"];
        let links =
            |event: &Event| LINKS.contains(&event.kind()).then(|| format!("{} {}", self.wallet(event), event.kind()));
        let three = |event: &Event| {
            ["decision", "signing.signed", "chain.tx"].contains(&event.kind()).then(|| event.kind().to_owned())
        };
        vec![
            ("Sessions", number(&self.events, has(&["session.started"], &["success"]))),
            ("Ordered", number(&self.events, is(&["custody.request"]))),
            ("Allowed", number(&self.events, has(&["decision"], &["allow"]))),
            ("Requested", number(&self.events, is(&["signing.requested"]))),
            ("Approved", number(&self.events, is(&["signing.approved"]))),
            ("Signed", number(&self.events, is(&["signing.signed"]))),
            ("Transactions", number(&self.events, is(&["chain.tx"]))),
            ("Mismatches", number(&self.events, has(&["signing.requested", "signing.approved"], &["mismatch"]))),
            ("Links by wallet", self.by(&["wallet", "kind"], &links)),
            (
                "Links that do not fit, by wallet and rule",
                self.findings(&["signing/", "chain/", "policy/"], &["wallet", "rule", "severity"]),
            ),
            ("Decisions, signatures and transactions over time", self.by(&["kind"], &three)),
        ]
    }

    fn sessions(&self) -> Vec<(&'static str, Expected)> {
        let session = |event: &Event| event.kind().starts_with("session.").then(|| event.kind().to_owned());
        vec![
            ("Opened", number(&self.events, has(&["session.started"], &["success"]))),
            ("Failed", number(&self.events, has(&["session.started"], &["failure"]))),
            ("Used", number(&self.events, is(&["session.presented"]))),
            ("Second factor passed by", number(&self.events, has(&["session.mfa"], &["failure", "bypass"]))),
            ("Not compliant", number(&self.events, has(&["session.posture"], &["not_compliant"]))),
            ("Revoked by the identity provider", number(&self.events, is(&["session.revoked"]))),
            ("Posture of devices", self.by_outcome("session.posture")),
            ("Events of sessions", self.by(&["kind"], &session)),
            ("Found about sessions", self.findings(&["session/"], &["system", "rule", "severity"])),
        ]
    }

    fn signing(&self) -> Vec<(&'static str, Expected)> {
        let spoiled = |event: &Event| event.kind() == "signing.failed" || has(&["signing.signed"], &["failed"])(event);
        vec![
            ("Requested", number(&self.events, is(&["signing.requested"]))),
            ("Approved", number(&self.events, is(&["signing.approved"]))),
            ("Rejected", number(&self.events, is(&["signing.rejected"]))),
            ("Signed", number(&self.events, is(&["signing.signed"]))),
            ("Failed", number(&self.events, spoiled)),
            ("Mismatches", number(&self.events, has(&["signing.approved"], &["mismatch"]))),
            ("Approvals by how they verify", self.by_outcome("signing.approved")),
            ("Requests and signatures by wallet", self.by_wallet("signing.")),
            ("Rounds of multi-party signing", self.by_outcome("signing.round")),
            ("Found about signing", self.findings(&["signing/"], &["wallet", "rule", "severity"])),
        ]
    }

    fn chains(&self) -> Vec<(&'static str, Expected)> {
        let of_chains = |event: &Event| event.kind().starts_with("chain.").then(|| event.kind().to_owned());
        let unsigned = |event: &Event| {
            event.kind() == "finding.created" && event.detail().value()["rule"] == "chain/outflow_without_signature"
        };
        vec![
            ("Transactions", number(&self.events, is(&["chain.tx"]))),
            ("Failed", number(&self.events, has(&["chain.tx"], &["failed"]))),
            ("Transfers", number(&self.events, is(&["chain.transfer"]))),
            ("Contracts changed", number(&self.events, is(&["chain.contract"]))),
            ("Without a signature", number(&self.conclusions, unsigned)),
            ("Foreign modules", number(&self.events, is(&["chain.module_tx"]))),
            ("Transactions and transfers", self.by(&["kind"], &of_chains)),
            // They are of another year: longer than any bucket is wide.
            ("How late events are heard", Expected::Within(86_400.0, 86_400.0, 1)),
            ("By wallet", self.by_wallet("chain.")),
            ("Found about chains", self.findings(&["chain/"], &["wallet", "rule", "severity"])),
            // No chain is followed on that machine.
            ("Waiting for a block", Expected::Number(0.0)),
            ("Blocks behind the nodes", Expected::Total(0.0)),
            ("Newest block of each node", Expected::Total(0.0)),
            ("Blocks read", Expected::Total(0.0)),
            ("Requests to nodes", Expected::Total(0.0)),
            ("Trouble with nodes", Expected::Total(0.0)),
            ("Reorganisations", Expected::Total(0.0)),
            ("Waiting and not looked at", Expected::Total(0.0)),
        ]
    }

    fn decision_point(&self) -> Vec<(&'static str, Expected)> {
        let step = |event: &Event| event.kind().strip_prefix("response.").map(str::to_owned);
        let degree = |event: &Event| event.outcome().unwrap_or_default().to_owned();
        let proof = |event: &Event| (event.kind() == "response.verified").then(|| degree(event));
        let decided =
            |event: &Event| (event.kind() == "decision").then(|| format!("{} {}", self.wallet(event), degree(event)));
        vec![
            ("Decisions", number(&self.events, is(&["decision"]))),
            ("Denied", number(&self.events, has(&["decision"], &["deny"]))),
            ("Errors", number(&self.events, has(&["decision"], &["error", "undefined"]))),
            ("Revocations open", Expected::Number(0.0)),
            ("Not shown to work", number(&self.events, has(&["response.verified"], &["unconfirmed"]))),
            ("Attempts failed", number(&self.events, is(&["response.failed"]))),
            ("Decisions by outcome", self.by_outcome("decision")),
            ("Decisions by wallet", self.by(&["wallet", "outcome"], &decided)),
            ("Revocations by step", self.by(&["step"], &step)),
            ("Revocations by proof", self.by(&["degree"], &proof)),
            ("How long a revocation takes", Expected::Within(0.0, 60.0, 4)),
            ("Found about decisions", self.findings(&["policy/"], &["wallet", "rule", "severity"])),
            // No replica is asked there.
            ("Canaries", Expected::Total(0.0)),
        ]
    }

    fn noise(&self) -> Vec<(&'static str, Expected)> {
        let count = |kind: &'static str| self.conclusions.iter().filter(|event| event.kind() == kind).count();
        let share = |one: usize, other: usize| {
            f64::from(u32::try_from(one).unwrap()) / f64::from(u32::try_from(other).unwrap())
        };
        vec![
            ("Alerts", number(&self.conclusions, is(&["alert.opened"]))),
            ("Told again", number(&self.conclusions, is(&["alert.updated"]))),
            ("Counted quietly", number(&self.conclusions, is(&["alert.suppressed"]))),
            (
                "Findings for each alert opened",
                Expected::Number(share(count("finding.created"), count("alert.opened"))),
            ),
            ("Told people", number(&self.conclusions, is(&["alert.notified"]))),
            ("Alerts by rule", self.alerts(&["rule", "step"])),
            ("Findings by rule and severity", self.findings(&[""], &["rule", "severity"])),
            ("Alerts over time", self.alerts(&["step"])),
        ]
    }

    /// What a source sent that became an event of its own: neither keywatch's records about it nor repeats.
    fn taken(&self) -> Expected {
        let taken = |event: &Event| {
            let about = ["source.reject", "source.conflict", "source.expected", "inventory.activated"];
            let own = about.contains(&event.kind()) || event.source() == "keywatch";
            (!own).then(|| format!("{} events", event.source()))
        };
        self.by(&["source", "feed"], &taken)
    }

    fn pipeline(&self) -> Vec<(&'static str, Expected)> {
        use Expected::{By, Number, Total, Within};
        let rules = f64::from(u32::try_from(keywatch_detectors::rule::shipped().unwrap().len()).unwrap());
        let of_kind = |kind: &'static str| {
            self.by(&["source", "feed"], &move |event| {
                (event.kind() == kind).then(|| format!("{} events", event.source()))
            })
        };
        let told = |event: &Event| {
            let destination = event.detail().value()["destination"].as_str().map(str::to_owned);
            (event.kind() == "alert.notified").then(|| format!("{} delivered", destination.unwrap()))
        };
        let none = || BTreeMap::new();
        let mut all = vec![
            ("Version", Number(1.0)),
            ("Rules", Number(rules)),
            ("Parked", Number(0.0)),
            ("Behind", Within(0.0, 100.0, 1)),
            ("Room on the disk", Within(0.0, 1.0, 1)),
            ("Free", Within(1.0, 1e18, 1)),
            ("Size", Within(1.0, 1e18, 1)),
            ("Without credentials", Number(1.0)),
            ("Events taken", Within(0.0, 1000.0, 4)),
            ("Bytes taken", Within(0.0, 1e6, 1)),
            ("Rejected", of_kind("source.reject")),
            ("Repeated", By(&["source", "feed"], self.repeats.clone())),
            ("Contradicted", of_kind("source.conflict")),
            ("Nothing of the feed's", By(&["source", "feed"], none())),
            ("Events", self.taken()),
            ("Answers", By(&["feed", "status"], self.answers.clone())),
            ("Silence against what is declared", Within(0.0, 1.0, 1)),
            // The one request without credentials.
            ("Refused at the door", Total(1.0)),
            ("Connections", Within(0.0, 64.0, 1)),
            ("Operators without a token", Number(0.0)),
            ("Connections cut", Total(0.0)),
            ("Certificates changed", Total(0.0)),
            ("Credentials changed", Total(0.0)),
            ("Streams", Total(0.0)),
            ("Messages on streams", Total(0.0)),
            ("Streams closed", Total(0.0)),
            ("Asked by operators", Total(0.0)),
            ("Trouble with sources that are asked", Total(0.0)),
            ("Latency at worst", Within(0.0, 60.0, 4)),
            ("Records through the rules", Within(0.1, 1000.0, 1)),
            ("Records written", Within(0.0, 1000.0, 1)),
            ("Appends that failed", Total(0.0)),
            ("The log's end", Within(0.0, 281_474_976_710_656.0, 4)),
            ("Log time behind the clock", Within(-1.0, 600.0, 2)),
            ("State kept", Within(0.0, 600.0, 2)),
            ("Snapshots of windows", By(&["outcome"], none())),
            ("Snapshots of alerting", By(&["outcome"], none())),
            ("What rules cost", Within(0.0, 1.0, 10)),
            ("What rules remember", Within(0.0, 1e9, 10)),
            ("Rows that rules remember", Within(0.0, 1e6, 10)),
            ("What rules see", Total(rules)),
            ("Gaps", Total(0.0)),
            ("Notifications", By(&["destination", "outcome"], tally(&self.conclusions, &told))),
            ("Waiting in the outbox", Total(0.0)),
            ("Oldest in the outbox", Total(0.0)),
            ("Destinations that are down", Total(0.0)),
            ("Put aside", Total(0.0)),
            ("Silence of destinations", Within(0.0, 600.0, 1)),
            // Nobody here gets any.
            ("Heartbeats", Total(0.0)),
        ];
        all.extend(of_kafka());
        all
    }
}

/// Panels of a log on Kafka, where the log is the embedded one.
fn of_kafka() -> [(&'static str, Expected); 11] {
    use Expected::{Number, Total};
    [
        ("Written by others", Number(0.0)),
        ("Of a later version", Number(0.0)),
        ("Kept in the spool", Number(0.0)),
        ("Size of the spool", Number(0.0)),
        ("Not yet read from Kafka", Total(0.0)),
        ("From Kafka to the copy", Total(0.0)),
        ("Transactions", Total(0.0)),
        ("Rebalances", Number(0.0)),
        ("Kafka is away", Number(0.0)),
        ("In the spool since", Number(0.0)),
        ("State in the bucket", Total(0.0)),
    ]
}
