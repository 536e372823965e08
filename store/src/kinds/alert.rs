//! The kinds of alerting: what rules concluded, who was told, and what operators did about it.

use super::fields::BY;
use super::kind::{Field, Kind, conclusion, operated};

/// Every kind of them.
pub(super) const KINDS: &[Kind] = &[
    conclusion("finding.created", "a rule concluded something; the detail is the finding"),
    conclusion("alert.opened", "a finding of a rule about something that has no alert yet"),
    conclusion("alert.updated", "a finding of an open alert that makes its incident page again"),
    conclusion("alert.suppressed", "a finding was counted on an open alert, nobody was told again"),
    conclusion("incident.paged", "what had waited since the last page of an incident is told"),
    operated(
        "alert.unconfirmed",
        "everything that the findings of an alert hang on was taken back from its chain, or that it was is final now",
        &[
            INCIDENT,
            ("alert_id", "text", "the alert"),
            (
                "unconfirmed",
                "object",
                "chain, block and epoch of what was left, how many nodes agreed and had to (agreed, quorum), since when, and \
                 whether what came instead is final",
            ),
            ("at", "text", "log time of what it follows from"),
        ],
    ),
    operated(
        "alert.confirmed",
        "what an alert stands on and was taken back is in a block again",
        &[INCIDENT, ("alert_id", "text", "the alert"), ("at", "text", "log time of what it follows from")],
    ),
    operated("alert.acknowledged", "an operator took an incident up", &[INCIDENT, BY]),
    operated(
        "alert.assigned",
        "an operator gave an incident to somebody, or gave it back",
        &[INCIDENT, BY, ("assignee", "text", "who is to see to it; null for nobody")],
    ),
    operated(
        "alert.commented",
        "an operator said something about an incident",
        &[INCIDENT, BY, ("comment", "text", "what was said")],
    ),
    operated(
        "alert.resolved",
        "an operator said what an incident, or one alert of it, was",
        &[
            INCIDENT,
            ("alert_id", "text", "the alert, where one alone is meant"),
            BY,
            ("verdict", "text", "true, false, benign or test"),
            ("reason", "text", "why"),
        ],
    ),
    operated(
        "alert.reopened",
        "an operator took up an incident again that was resolved",
        &[INCIDENT, BY, ("reason", "text", "why")],
    ),
    operated(
        "alert.silenced",
        "an operator silenced findings; where criticals or the allow-list are meant, once a second one agrees",
        &[
            SILENCE,
            BY,
            ("request", "object", "system, matcher, reason, until, criticals"),
            (
                "allows",
                "object",
                "of an entry of the allow-list: alert, finding, verdict and severity that it was made from, and how it is wider \
                 (any, amount)",
            ),
        ],
    ),
    operated(
        "alert.silence_approved",
        "a second operator agreed to a silence of criticals, or to an entry of the allow-list",
        &[SILENCE, BY],
    ),
    operated("alert.silence_ended", "an operator ended a silence before its time", &[SILENCE, BY]),
    conclusion("alert.notified", "a destination took a notification"),
    conclusion("alert.failed", "a destination did not take a notification: tried again, or put aside if `dead`"),
    conclusion("alert.redriven", "a notification that was put aside is tried again, since a person asked for it"),
    conclusion("alert.escalated", "nobody acknowledged an incident in time, so that further receivers are told"),
];

const INCIDENT: Field = ("incident", "text", "the incident");

const SILENCE: Field = ("silence_id", "text", "the silence");
