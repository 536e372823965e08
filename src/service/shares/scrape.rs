//! What the processes of partitions say about themselves to Prometheus, as one text: each series with the partition as a label,
//! and each family once. It knows no metric but those that the process before them shows itself.

use std::collections::BTreeMap;
use std::fmt::Write;

/// What the process that shares partitions shows of its own. The rest of its list is about work that it does not do.
const OWN: [&str; 4] = ["keywatch_build_info", "keywatch_ready", "keywatch_door_", "keywatch_data_"];

/// A family of series.
#[derive(Default)]
struct Family {
    comments: String,
    series: String,
}

/// One text (version 0.0.4) of this process's own and those of partitions.
pub(super) fn together(own: &str, of_partitions: &[(u32, String)]) -> String {
    let mut families: BTreeMap<&str, Family> = BTreeMap::new();
    gather(own, None, &mut families);
    families.retain(|name, _| OWN.iter().any(|own| name.starts_with(own)));
    for (partition, text) in of_partitions {
        gather(text, Some(*partition), &mut families);
    }
    families.into_values().fold(String::new(), |text, family| text + &family.comments + &family.series)
}

fn gather<'a>(text: &'a str, partition: Option<u32>, families: &mut BTreeMap<&'a str, Family>) {
    let (mut name, mut is_new) = ("", false);
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let named = comment.split(' ').nth(1).unwrap_or_default();
            if named != name {
                is_new = !families.contains_key(named);
                name = named;
            }
            let family = families.entry(name).or_default();
            if is_new {
                write_line(&mut family.comments, line);
            }
        } else if !line.is_empty() {
            let series = &mut families.entry(name).or_default().series;
            match partition {
                Some(partition) => write_line(series, &labelled(line, partition)),
                None => write_line(series, line),
            }
        }
    }
}

fn write_line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a text takes everything");
}

/// A series with the label `partition`, which no metric has by itself.
fn labelled(series: &str, partition: u32) -> String {
    let (name, rest) = series.split_at(series.find(['{', ' ']).unwrap_or(series.len()));
    match rest.strip_prefix('{') {
        Some(labels) => format!("{name}{{partition=\"{partition}\",{labels}"),
        None => format!("{name}{{partition=\"{partition}\"}}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::metrics::{ALL, Exposition, Metrics};

    #[test]
    fn each_family_stands_there_once_with_the_series_of_every_partition() {
        let of = |ready: u32| {
            format!(
                "# HELP keywatch_ready whether\n# TYPE keywatch_ready gauge\nkeywatch_ready {ready}\n\
                 # HELP keywatch_rule_findings_total found\n# TYPE keywatch_rule_findings_total counter\n\
                 keywatch_rule_findings_total{{rule=\"a b\"}} 2\n"
            )
        };
        let own = "# HELP keywatch_engine_records_total seen\n# TYPE keywatch_engine_records_total counter\n\
                   keywatch_engine_records_total 0\n\
                   # HELP keywatch_ready whether\n# TYPE keywatch_ready gauge\nkeywatch_ready 1\n";
        let text = together(own, &[(0, of(1)), (3, of(0))]);
        assert_eq!(
            text,
            "# HELP keywatch_ready whether\n# TYPE keywatch_ready gauge\nkeywatch_ready 1\n\
             keywatch_ready{partition=\"0\"} 1\nkeywatch_ready{partition=\"3\"} 0\n\
             # HELP keywatch_rule_findings_total found\n# TYPE keywatch_rule_findings_total counter\n\
             keywatch_rule_findings_total{partition=\"0\",rule=\"a b\"} 2\n\
             keywatch_rule_findings_total{partition=\"3\",rule=\"a b\"} 2\n"
        );
    }

    #[test]
    fn what_is_shown_of_its_own_exists_and_nothing_has_the_label() {
        for own in OWN {
            assert!(ALL.iter().any(|metric| metric.name.starts_with(own)), "{own}");
        }
        assert!(ALL.iter().all(|metric| !metric.labels.contains(&"partition")));
        let text = Metrics::new().render(Exposition::Text).unwrap();
        let together = together(&text, &[(7, text.clone())]);
        let series = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(together.lines().filter(|line| line.contains("{partition=\"7\"")).count(), series(&text));
    }
}
