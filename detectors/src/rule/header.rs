//! The front matter of a rule: YAML in the leading comment of its file.

use std::collections::BTreeMap;

use keywatch_store::Severity;
use keywatch_store::finding::{Proof, Target};
use serde::{Deserialize, Deserializer, Serialize, de};

use super::coverage::Need;
use super::duration;

/// What a rule says of itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Counts up when the rule's meaning changes; part of the identity of its findings.
    pub version: u32,
    /// One line; `{column}` is replaced by that column of the finding.
    pub title: String,
    /// How bad a finding is.
    pub severity: Severity,
    /// What the entity is, in words.
    pub entity: String,
    /// Why it matters.
    pub meaning: String,
    /// Steps for the analyst, in order.
    pub runbook: Vec<String>,
    /// When it may fire without anything being wrong.
    #[serde(default)]
    pub false_positives: Vec<String>,
    /// CCSS requirement ids (v9).
    #[serde(default)]
    pub ccss: Vec<String>,
    /// MITRE ATT&CK technique ids.
    #[serde(default)]
    pub attack: Vec<String>,
    /// Nanoseconds of log time over which further findings of the same entity are counted, not told.
    #[serde(rename = "suppress_for", deserialize_with = "suppress_ns")]
    pub suppress_ns: i64,
    /// What should be revoked or held.
    #[serde(default)]
    pub response: Vec<Target>,
    /// Whether it may be acted upon without a person.
    #[serde(default)]
    pub proof: Proof,
    /// What has to be seen of a system for the rule to judge it.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// What the rule does where it has no history to compare with; every rule that asks for history says so.
    #[serde(default)]
    pub without_history: String,
    /// Views that its SQL reads instead of `events` ([`super::views`]).
    #[serde(default)]
    pub uses: Vec<String>,
    /// Parameters by name.
    #[serde(default)]
    pub parameters: BTreeMap<String, Parameter>,
}

/// A parameter: `$name` in the SQL.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ParameterKind,
    /// Its value unless the configuration says otherwise.
    pub default: Value,
    /// What it does.
    pub meaning: String,
}

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterKind {
    /// A whole number.
    Integer,
    /// A text literal.
    Text,
    /// An interval.
    Duration,
    /// A list for IN.
    TextList,
}

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// For `integer`.
    Integer(i64),
    /// For `text` and `duration`.
    Text(String),
    /// For `text_list`.
    List(Vec<String>),
}

fn suppress_ns<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let text = String::deserialize(deserializer)?;
    duration::nanoseconds(&text).map_err(de::Error::custom)
}

/// The text of the leading comment, and what follows it.
pub(super) fn comment(text: &str) -> Result<(&str, &str), String> {
    let body = text.trim_start().strip_prefix("/*").ok_or("the file must begin with `/*`, YAML, `*/`")?;
    let (yaml, sql) = body.split_once("*/").ok_or("the leading comment is not closed by `*/`")?;
    Ok((yaml, sql.trim()))
}
