//! Parameters: what the configuration may change of a rule without touching it.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use serde::{Deserialize, Serialize};

use super::header::{Parameter, ParameterKind, Value};
use super::{Rule, duration};
use crate::error::Error;
use crate::limits::BATCH_MILLISECONDS_MAX;
use crate::window::Limits;

/// What the configuration says about rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Rules that are not run.
    pub disabled: BTreeSet<String>,
    /// Rule → parameter → value.
    pub parameters: BTreeMap<String, BTreeMap<String, Value>>,
    /// Milliseconds of processor time that a rule may take for a batch before it is parked.
    pub batch_milliseconds_max: u64,
    /// What each group of windows of a rule may remember of one system.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        let (disabled, parameters) = (BTreeSet::new(), BTreeMap::new());
        Settings { disabled, parameters, batch_milliseconds_max: BATCH_MILLISECONDS_MAX, limits: Limits::default() }
    }
}

impl Settings {
    /// The SQL of a rule with its parameters filled in.
    ///
    /// # Errors
    /// [`Error::FrontMatter`] for a value of the wrong type or a setting of a parameter that the rule does not have.
    pub fn fill_in(&self, rule: &Rule) -> Result<String, Error> {
        let refuse = |problem: String| Error::FrontMatter { rule: rule.id.clone(), problem };
        let none = BTreeMap::new();
        let set = self.parameters.get(&rule.id).unwrap_or(&none);
        if let Some(unknown) = set.keys().find(|name| !rule.header.parameters.contains_key(*name)) {
            return Err(refuse(format!("parameters: `{unknown}` is set but the rule does not have it")));
        }
        let tokens = Tokenizer::new(&GenericDialect {}, &rule.sql).tokenize();
        let tokens = tokens.map_err(|error| Error::Sql { rule: rule.id.clone(), problem: error.to_string() })?;
        let mut sql = String::with_capacity(rule.sql.len());
        for token in tokens {
            match &token {
                Token::Placeholder(name) => {
                    let name = name.trim_start_matches('$');
                    let parameter = rule.header.parameters.get(name);
                    let parameter =
                        parameter.ok_or_else(|| refuse(format!("parameters: `${name}` is used but not declared")))?;
                    let value = set.get(name).unwrap_or(&parameter.default);
                    sql.push_str(
                        &literal(parameter, value)
                            .map_err(|problem| refuse(format!("parameters: {name}: {problem}")))?,
                    );
                }
                other => sql.push_str(&other.to_string()),
            }
        }
        Ok(sql)
    }
}

fn literal(parameter: &Parameter, value: &Value) -> Result<String, String> {
    let quote = |text: &str| format!("'{}'", text.replace('\'', "''"));
    match (parameter.kind, value) {
        (ParameterKind::Integer, Value::Integer(number)) => Ok(number.to_string()),
        (ParameterKind::Text, Value::Text(text)) => Ok(quote(text)),
        (ParameterKind::Duration, Value::Text(text)) => Ok(duration::interval(duration::nanoseconds(text)?)),
        (ParameterKind::TextList, Value::List(texts)) if !texts.is_empty() => {
            Ok(format!("({})", texts.iter().map(|text| quote(text)).collect::<Vec<_>>().join(", ")))
        }
        (kind, value) => Err(format!("{value:?} is not of type {kind:?}")),
    }
}
