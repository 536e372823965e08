//! Rules by family: how much each would have found in a day, and a configuration in which all of them are in shadow, written so
//! that a family is taken out of it by taking out its lines.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write;

use keywatch_store::Severity;

use crate::commands::backtest::found::Found;
use crate::output;

const HEAD: &str = "\
# Written by `keywatch init`. `keywatch run --print-config` prints every field with what it means.
data = \"keywatch-data\"
inventory = \"inventory.toml\"

[server]
listen = \"127.0.0.1:8040\"

# Who may send, who may use the API and who is told stand here: [[credentials]], [[operators]], [[receivers]].

[alerting]
# What rules in shadow find is recorded and told, and what they would revoke waits for a person. Take a family out of this list
# once its findings are few and right: from then on it revokes alone where the evidence is twofold or proves itself.
shadow_rules = [
";

/// The families.
pub(super) struct Families<'a> {
    families: BTreeMap<&'a str, Vec<&'a Found>>,
    days: f64,
}

impl<'a> Families<'a> {
    /// Of rules that found this in so many days.
    pub(super) fn new(rules: &'a [Found], days: f64) -> Families<'a> {
        let mut families: BTreeMap<&str, Vec<&Found>> = BTreeMap::new();
        for found in rules {
            let family = found.rule.split_once('/').map_or(found.rule.as_str(), |(family, _)| family);
            families.entry(family).or_default().push(found);
        }
        families.values_mut().for_each(|rules| rules.sort_by_key(|found| (Reverse(found.findings), &found.rule)));
        Families { families, days }
    }

    /// The loudest family first.
    pub(super) fn table(&self) -> String {
        let mut families: Vec<(&&str, &Vec<&Found>)> = self.families.iter().collect();
        families.sort_by_key(|(family, rules)| (Reverse(findings(rules)), **family));
        let rows = families.into_iter().map(|(family, rules)| {
            let worst = rules.iter().filter(|found| found.findings > 0).map(|found| found.severity).max();
            let loudest = rules.first().filter(|found| found.findings > 0);
            [
                (*family).to_owned(),
                rules.len().to_string(),
                findings(rules).to_string(),
                self.per_day(findings(rules)),
                worst.as_ref().map(Severity::to_string).unwrap_or_default(),
                loudest.map(|found| format!("{} ({})", found.rule, found.findings)).unwrap_or_default(),
            ]
        });
        output::table(["family", "rules", "findings", "a day", "worst", "loudest rule"], rows)
    }

    /// A configuration in which every rule is in shadow.
    pub(super) fn configuration(&self) -> String {
        let mut text = HEAD.to_owned();
        for (family, rules) in &self.families {
            let _ = writeln!(text, "    # {family}: {} findings a day", self.per_day(findings(rules)));
            for found in rules {
                let _ = writeln!(text, "    \"{}\",  # {}", found.rule, self.per_day(found.findings));
            }
        }
        text.push_str("]\n");
        text
    }

    fn per_day(&self, findings: u64) -> String {
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let findings = findings as f64;
        let per_day = findings / self.days;
        match per_day {
            _ if self.days <= 0.0 => "?".to_owned(),
            // Ten in a year and a half are few, and not none.
            seldom if seldom > 0.0 && seldom < 0.01 => "< 0.01".to_owned(),
            seldom if seldom > 0.0 && seldom < 0.1 => format!("{seldom:.2}"),
            often => format!("{often:.1}"),
        }
    }
}

fn findings(rules: &[&Found]) -> u64 {
    rules.iter().map(|found| found.findings).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_counted_and_every_rule_is_in_shadow() {
        let found = |rule: &str, severity, findings| Found { rule: rule.to_owned(), severity, findings };
        let rules = [
            found("chain/loud", Severity::Medium, 20),
            found("chain/quiet", Severity::Critical, 0),
            found("session/some", Severity::High, 5),
        ];
        let families = Families::new(&rules, 10.0);
        let table = families.table();
        let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["chain", "2", "20", "2.0", "medium", "chain/loud", "(20)"]);
        assert_eq!(lines[2], ["session", "1", "5", "0.5", "high", "session/some", "(5)"]);
        let configuration: toml::Table = families.configuration().parse().unwrap();
        let shadow = configuration["alerting"]["shadow_rules"].as_array().unwrap();
        let shadow: Vec<&str> = shadow.iter().filter_map(toml::Value::as_str).collect();
        assert_eq!(shadow, ["chain/loud", "chain/quiet", "session/some"]);
        assert!(Families::new(&rules, 0.0).table().contains('?'));
        // What is seldom is not nothing.
        let seldom = |days: f64| Families::new(&rules, days).per_day(5);
        assert_eq!([seldom(100.0), seldom(10_000.0)], ["0.05", "< 0.01"]);
        assert_eq!(Families::new(&rules, 100.0).per_day(0), "0.0");
    }
}
