//! Which tables there are, their columns, and whose rows a user sees.

use std::collections::BTreeSet;

use keywatch_store::log::segments::Wanted;
use keywatch_store::schema::ColumnType;

/// The systems whose rows are seen; all of them where none is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope(pub(crate) Option<BTreeSet<String>>);

impl Scope {
    /// Whether the rows of a system are seen.
    pub(crate) fn holds(&self, system: &str) -> bool {
        self.0.as_ref().is_none_or(|systems| systems.contains(system))
    }

    /// Leaves what is seen. It is applied where records are read, so that no SQL comes past it.
    pub(super) fn narrow(&self, wanted: &mut Wanted) {
        if let Some(systems) = &self.0 {
            wanted.within(systems);
        }
    }
}

/// A table that is made of records of certain kinds.
pub(crate) struct Made {
    /// Its name in SQL.
    pub(crate) name: &'static str,
    /// Name, type and meaning of each column.
    pub(crate) columns: &'static [(&'static str, ColumnType, &'static str)],
}

use ColumnType::{Amount, Boolean, Integer, Text, Time};

/// One row a finding: what a rule concluded about one event.
pub(crate) const FINDINGS: Made = Made {
    name: "findings",
    columns: &[
        ("id", Text, "hash of rule, version, system, entity and anchor"),
        ("recorded", Time, "log time of the record in the conclusions topic"),
        ("rule", Text, "rule id"),
        ("version", Integer, "version of the rule"),
        ("severity", Text, "info, low, medium, high, critical"),
        ("system", Text, "the trusted environment"),
        ("entity", Text, "what it is about"),
        ("anchor", Text, "`event_id` of the event it hangs on"),
        ("time", Time, "log time of that event"),
        ("decided", Time, "log time of the record that settled it"),
        ("title", Text, "the title, with the facts filled in"),
        ("source", Text, "source of the anchor"),
        ("late", Boolean, "the anchor came late"),
        ("actor", Text, "who"),
        ("session", Text, "session"),
        ("device", Text, "device"),
        ("wallet", Text, "wallet"),
        ("request", Text, "signing request"),
        ("tx", Text, "transaction"),
        ("to_address", Text, "effective destination"),
        ("amount", Amount, "base units, if the rule shows an amount"),
        ("proof", Text, "itself, or corroborated"),
        ("evidence", Text, "ids of the events that prove it, as a JSON list, the anchor first"),
        ("facts", Text, "the rule's other columns, as JSON"),
        ("meaning", Text, "why it matters"),
        ("runbook", Text, "what to do"),
    ],
};

/// One row an alert: findings of one rule about one entity.
pub(crate) const ALERTS: Made = Made {
    name: "alerts",
    columns: &[
        ("alert_id", Text, "its id"),
        ("incident", Text, "the incident it belongs to"),
        ("system", Text, "the trusted environment"),
        ("rule", Text, "rule id"),
        ("entity", Text, "what it is about"),
        ("severity", Text, "worst severity of its findings"),
        ("title", Text, "title of the last finding that was not merely counted"),
        ("status", Text, "open, acknowledged, resolved"),
        ("verdict", Text, "what it turned out to be: true, false, benign, test"),
        ("assignee", Text, "who sees to its incident"),
        ("opened", Time, "log time at which its first finding was settled"),
        ("last", Time, "log time at which its last finding was settled"),
        ("findings", Integer, "findings in it"),
        ("pages", Integer, "how often its findings made its incident page"),
        ("suppressed", Integer, "findings that were merely counted"),
        ("notified", Integer, "notifications that a destination took"),
        ("failed", Integer, "notifications that a destination did not take"),
        ("session", Text, "session of the first finding"),
        ("wallet", Text, "wallet of the first finding"),
        ("request", Text, "signing request of the first finding"),
        ("tx", Text, "transaction of the first finding"),
        ("amount", Amount, "largest amount of its findings, base units"),
        ("unconfirmed", Time, "log time since which all that it stands on was taken back from its chain"),
        ("unconfirmed_because", Text, "what was left, on whose word, and whether that is final"),
    ],
};

/// One row an incident: alerts that share a session, a request, a wallet, a destination or a transaction.
pub(crate) const INCIDENTS: Made = Made {
    name: "incidents",
    columns: &[
        ("incident", Text, "its id"),
        ("system", Text, "the trusted environment"),
        ("status", Text, "open, acknowledged, resolved"),
        ("severity", Text, "worst severity of its findings"),
        ("title", Text, "title of its first finding of that severity"),
        ("opened", Time, "log time at which its first finding was settled"),
        ("last", Time, "log time at which its last finding was settled"),
        ("alerts", Integer, "alerts in it"),
        ("findings", Integer, "findings in it"),
        ("rules", Text, "rules that found something, with commas between them"),
        ("pages", Integer, "how often people were told"),
        ("paged", Time, "log time at which they were told at last"),
        ("assignee", Text, "who sees to it"),
        ("acknowledged", Time, "log time at which somebody took it up"),
        ("acknowledged_by", Text, "who"),
        ("resolved", Time, "log time at which somebody resolved it"),
        ("resolved_by", Text, "who"),
        ("verdict", Text, "what it turned out to be: true, false, benign, test"),
        ("reason", Text, "why"),
        ("acts", Integer, "how much operators did about it"),
        ("sessions", Text, "sessions of its findings, with commas between them"),
        ("wallets", Text, "wallets of its findings, with commas between them"),
        ("destinations", Text, "destinations of its findings, with commas between them"),
        ("requests", Text, "signing requests of its findings, with commas between them"),
        ("transactions", Text, "transactions of its findings, with commas between them"),
        ("amount", Amount, "largest amount of a finding, base units"),
    ],
};

/// One row a response: a revocation, proposed or decided, and how far it came.
pub(crate) const RESPONSES: Made = Made {
    name: "responses",
    columns: &[
        ("response_id", Text, "its id"),
        ("incident", Text, "the incident it answers"),
        ("alert_id", Text, "the alert it answers"),
        ("finding_id", Text, "the finding that caused it"),
        ("system", Text, "the trusted environment"),
        ("rule", Text, "rule of that finding"),
        ("severity", Text, "severity of that finding"),
        (
            "status",
            Text,
            "proposed, released, rejected, requested, failed, given_up, undone, or the degree that was confirmed",
        ),
        ("further", Text, "degrees confirmed beyond that, with commas between them"),
        ("decided", Time, "log time at which the finding was settled"),
        ("proposed", Time, "log time at which a person was asked"),
        ("approved", Time, "log time at which a person agreed last"),
        ("rejected", Time, "log time at which a person decided against it"),
        ("requested", Time, "log time of the durable intent"),
        ("published", Time, "log time at which the document was published"),
        ("verified", Time, "log time of the last probe"),
        ("failed", Time, "log time of the last attempt that failed"),
        ("undone", Time, "log time at which a person took it back"),
        ("failures", Integer, "attempts that failed"),
        ("why", Text, "why keywatch acts alone, or why it does not"),
        ("reason", Text, "what the last record says"),
        ("targets", Text, "what is stopped, as JSON"),
        ("approved_by", Text, "people who approved it, with commas between them"),
    ],
};
