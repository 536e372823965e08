//! What several benches need: traffic, made-up events, cells measured in processes of their own, rules of nothing but SQL.

pub(crate) mod custody;
pub(crate) mod feed;
pub(crate) mod measured;

use keywatch_detectors::Rule;

/// A rule of nothing but its SQL.
pub(crate) fn rule(id: &str, sql: &str) -> Rule {
    let header = "/*\nversion: 1\ntitle: measured\nseverity: low\nentity: measured\nmeaning: measured\nrunbook: [none]\n\
                  suppress_for: 0s\n*/\n";
    Rule::parse(id, &format!("{header}{sql}")).unwrap()
}
