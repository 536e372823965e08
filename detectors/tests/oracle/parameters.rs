//! The parameters of the shipped rules, each a hair off: one nanosecond or one more or less.

use keywatch_detectors::rule::{Parameter, Value, views};
use keywatch_detectors::{Rule, Settings};

use super::history::SECOND;

/// A shipped rule whose parameter is one step off.
pub(crate) struct OffByOne {
    pub(crate) name: String,
    pub(crate) settings: Settings,
    /// The span that the parameter stands for, if it is one.
    pub(crate) span_ns: Option<i64>,
    /// The number that it is.
    pub(crate) number: Option<i64>,
}

/// Every parameter of a rule with one step up and one down.
pub(crate) fn off_by_one(rule: &Rule) -> Vec<OffByOne> {
    let of_parameter = |(name, parameter): (&String, &Parameter)| {
        let number = if let Value::Integer(number) = &parameter.default { Some(*number) } else { None };
        let span_ns = span_ns(parameter).or_else(|| number.filter(|_| name.ends_with("_seconds"))?.checked_mul(SECOND));
        let steps = [1, -1].map(|by| (by, stepped(parameter, span_ns, by)));
        let name = name.clone();
        // A view says the same of its parameters to every rule.
        let whose = views()
            .iter()
            .find(|view| view.header.parameters.get(&name).is_some_and(|its| its.meaning == parameter.meaning));
        let whose = whose.map_or(rule.id.clone(), |view| format!("view {}", view.name));
        steps.into_iter().filter_map(move |(by, value)| {
            let mut settings = Settings::default();
            settings.parameters.entry(rule.id.clone()).or_default().insert(name.clone(), value?);
            Some(OffByOne { name: format!("{whose} {name} {by:+}"), settings, span_ns, number })
        })
    };
    rule.header.parameters.iter().flat_map(of_parameter).collect()
}

fn span_ns(parameter: &Parameter) -> Option<i64> {
    let Value::Text(text) = &parameter.default else { return None };
    let span: jiff::Span = text.parse().ok()?;
    i64::try_from(span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?.as_nanos()).ok()
}

fn stepped(parameter: &Parameter, span_ns: Option<i64>, by: i64) -> Option<Value> {
    if let Value::Integer(number) = &parameter.default {
        return Some(Value::Integer(number + by));
    }
    let span_ns = span_ns? + by;
    Some(Value::Text(format!("{} seconds {} nanoseconds", span_ns / SECOND, span_ns % SECOND)))
}
