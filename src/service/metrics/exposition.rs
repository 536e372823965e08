//! The two texts that a scraper may ask for: Prometheus' own (0.0.4), which everybody reads, and `OpenMetrics` 1.0.0, which
//! also carries exemplars. The `prometheus` crate writes the first; the second differs from it in names of counters, units,
//! exemplars and its last line (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).

use std::collections::HashMap;
use std::fmt::Write;

/// A text form of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exposition {
    /// Prometheus text, version 0.0.4.
    Text,
    /// `OpenMetrics`, version 1.0.0.
    OpenMetrics,
}

impl Exposition {
    /// What a scraper with that `Accept` gets.
    pub(crate) fn accepted(accept: Option<&str>) -> Exposition {
        let asked = accept.is_some_and(|accept| accept.contains("application/openmetrics-text"));
        if asked { Exposition::OpenMetrics } else { Exposition::Text }
    }

    /// The media type.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Exposition::Text => prometheus::TEXT_FORMAT,
            Exposition::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The text of Prometheus as `OpenMetrics`; `exemplars` stand by the name and labels of their buckets.
pub(super) fn open_metrics(text: &str, exemplars: &HashMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for line in text.lines() {
        let written = if let Some(comment) = line.strip_prefix("# ") {
            describe(&mut out, comment)
        } else {
            let series = line.rsplit_once(' ').map_or(line, |(series, _)| series);
            writeln!(out, "{line}{}", exemplars.get(series).map_or("", String::as_str))
        };
        written.expect("a text takes everything");
    }
    out.push_str("# EOF\n");
    out
}

/// A family is called as its counter without `_total`, and says its unit where its name ends with one.
fn describe(out: &mut String, comment: &str) -> std::fmt::Result {
    let mut words = comment.splitn(3, ' ');
    let (word, name, rest) = (words.next().unwrap_or(""), words.next().unwrap_or(""), words.next().unwrap_or(""));
    let family = name.strip_suffix("_total").unwrap_or(name);
    writeln!(out, "# {word} {family} {rest}")?;
    let unit = ["seconds", "bytes"].into_iter().find(|unit| family.ends_with(&format!("_{unit}")));
    match unit {
        Some(unit) if word == "TYPE" => writeln!(out, "# UNIT {family} {unit}"),
        _ => Ok(()),
    }
}
