//! The table of noise: alerts of several backtests by rule, severity, system and week, and what they come to.
//!
//! It reads the JSON of `keywatch backtest --format json` and knows no rule. In a history of honest days every alert is noise.

use std::collections::BTreeMap;

use serde_json::Value;

/// Severities that page people.
const PAGES: [&str; 2] = ["high", "critical"];

/// Alerts of one rule in one system.
#[derive(Clone, Debug, Default)]
struct Row {
    /// Alerts of each week, of all histories together.
    weeks: BTreeMap<u64, u64>,
}

/// Counts of several histories.
#[derive(Debug, Default)]
struct Noise {
    histories: u64,
    /// Days of all of them together.
    days: f64,
    /// By severity, rule, system.
    rows: BTreeMap<(String, String, String), Row>,
}

/// The table of some reports.
///
/// # Errors
/// A text that is no such report.
pub fn table(reports: &[String]) -> Result<String, String> {
    let mut noise = Noise::default();
    for report in reports {
        let report: Value = serde_json::from_str(report).map_err(|error| format!("this is no report: {error}"))?;
        noise.add(&report).ok_or("this report of a backtest has no `alerts`: is the binary of this version?")?;
    }
    if noise.histories == 0 {
        return Err("there is no report to count".to_owned());
    }
    Ok(noise.write())
}

impl Noise {
    fn add(&mut self, report: &Value) -> Option<()> {
        self.histories += 1;
        self.days += report["days"].as_f64()?;
        for alert in report["alerts"].as_array()? {
            let text = |name: &str| Some(alert[name].as_str()?.to_owned());
            let row = self.rows.entry((text("severity")?, text("rule")?, text("system")?)).or_default();
            *row.weeks.entry(alert["week"].as_u64()?).or_default() += alert["alerts"].as_u64()?;
        }
        Some(())
    }

    fn write(&self) -> String {
        let weeks = self.rows.values().flat_map(|row| row.weeks.keys()).max().map_or(1, |last| last + 1);
        let mut text = format!(
            "Alerts a history, the mean of {}\n\n{:<44}{:<10}{:<12}",
            self.histories, "rule", "severity", "system"
        );
        (0..weeks).for_each(|week| text.extend([format!("{:>9}", format!("week {}", week + 1))]));
        text += "      all\n";
        for severity in ["critical", "high", "medium", "low", "info"] {
            let of_it = self.rows.iter().filter(|((its, ..), _)| its == severity);
            for ((_, rule, system), row) in of_it {
                text.extend([format!("{rule:<44}{severity:<10}{system:<12}")]);
                (0..weeks).for_each(|week| text += &self.mean(*row.weeks.get(&week).unwrap_or(&0)));
                text += &self.mean(row.weeks.values().sum());
                text.push('\n');
            }
        }
        text.push('\n');
        for system in self.systems() {
            let count = |pages: bool| -> u64 {
                let its = self
                    .rows
                    .iter()
                    .filter(|((severity, _, its), _)| *its == system && PAGES.contains(&severity.as_str()) == pages);
                its.flat_map(|(_, row)| row.weeks.values()).sum()
            };
            let (pages, lesser) = (count(true), count(false));
            text.extend([format!(
                "{system}: {:.2} pages a week (high and critical), {:.2} lesser alerts a day\n",
                float(pages) * 7.0 / self.days,
                float(lesser) / self.days
            )]);
        }
        text
    }

    fn systems(&self) -> Vec<String> {
        let mut systems: Vec<String> = self.rows.keys().map(|(.., system)| system.clone()).collect();
        systems.sort();
        systems.dedup();
        systems
    }

    /// A count of all histories as the mean of one.
    fn mean(&self, count: u64) -> String {
        if count == 0 { format!("{:>9}", "·") } else { format!("{:>9.1}", float(count) / float(self.histories)) }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_counted_by_rule_system_and_week_and_halved_over_two_histories() {
        let report = |alerts: u64| {
            format!(
                r#"{{"days":14.0,"alerts":[
                    {{"system":"s","rule":"a/b","severity":"high","week":0,"alerts":{alerts}}},
                    {{"system":"s","rule":"a/c","severity":"low","week":1,"alerts":14}}]}}"#
            )
        };
        let text = table(&[report(1), report(4)]).unwrap();
        let row = |rule: &str| {
            text.lines().find(|line| line.starts_with(rule)).unwrap().split_whitespace().collect::<Vec<_>>()
        };
        assert_eq!(row("a/b"), ["a/b", "high", "s", "2.5", "·", "2.5"]);
        assert_eq!(row("a/c"), ["a/c", "low", "s", "·", "14.0", "14.0"]);
        assert!(text.contains("s: 1.25 pages a week (high and critical), 1.00 lesser alerts a day"), "{text}");
    }

    #[test]
    fn what_is_no_report_is_told() {
        assert!(table(&["{}".to_owned()]).unwrap_err().contains("no `alerts`"));
        assert!(table(&["x".to_owned()]).unwrap_err().contains("no report"));
        assert!(table(&[]).is_err());
    }
}
