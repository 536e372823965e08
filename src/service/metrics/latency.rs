//! Latencies as histograms with fixed bounds, so that Prometheus can add them up over machines and take any quantile over
//! any time. Each bucket also remembers the last alert that fell into it: an exemplar, for whoever wants to know which one
//! was slow. It knows no metric by name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keywatch_store::Instant;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use super::Described;
use crate::clock;

/// Upper bounds of the buckets in seconds: half a millisecond for a durable append, a day for a person. One list for all,
/// so that quantiles of two stages can be held against each other.
pub(crate) const BOUNDS_SECONDS: [f64; 21] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0,
    3600.0, 14_400.0, 86_400.0,
];

/// One metric of latencies, with all its series.
#[derive(Clone, Debug)]
pub(crate) struct Latency {
    described: Described,
    desc: Desc,
    series: Arc<Mutex<BTreeMap<Vec<String>, Series>>>,
}

#[derive(Debug, Default)]
struct Series {
    /// One for each bound, and one for what lies beyond the last.
    counts: [u64; BOUNDS_SECONDS.len() + 1],
    exemplars: [Option<Exemplar>; BOUNDS_SECONDS.len() + 1],
    sum_seconds: f64,
}

#[derive(Clone, Debug)]
struct Exemplar {
    alert_id: String,
    seconds: f64,
    at: Instant,
}

impl Latency {
    /// With no observation; a metric without labels shows its zero at once.
    pub(super) fn new(described: &Described) -> Latency {
        let labels = described.labels.iter().map(|label| (*label).to_owned()).collect();
        let desc = Desc::new(described.name.into(), described.help.into(), labels, std::collections::HashMap::new());
        let series = if described.labels.is_empty() {
            BTreeMap::from([(Vec::new(), Series::default())])
        } else {
            BTreeMap::new()
        };
        Latency { described: *described, desc: desc.expect(super::SOUND), series: Arc::new(Mutex::new(series)) }
    }

    /// Records one latency under the label values, in the order of the list.
    pub(crate) fn observe(&self, labels: &[&str], latency: Duration) {
        self.observe_all(labels, std::iter::once(latency));
    }

    /// Records many under the same label values.
    pub(crate) fn observe_all(&self, labels: &[&str], latencies: impl Iterator<Item = Duration>) {
        self.with(labels, |series| {
            for latency in latencies {
                series.record(latency.as_secs_f64());
            }
        });
    }

    /// Records one latency of an alert; without an id where there is no alert.
    pub(crate) fn observe_alert(&self, labels: &[&str], latency: Duration, alert_id: &str) {
        if alert_id.is_empty() {
            return self.observe(labels, latency);
        }
        let seconds = latency.as_secs_f64();
        let exemplar = Exemplar { alert_id: alert_id.to_owned(), seconds, at: clock::now() };
        self.with(labels, |series| {
            let bucket = series.record(seconds);
            series.exemplars[bucket] = Some(exemplar);
        });
    }

    fn with(&self, labels: &[&str], change: impl FnOnce(&mut Series)) {
        debug_assert_eq!(labels.len(), self.described.labels.len(), "{}", self.described.name);
        let key = labels.iter().map(|label| (*label).to_owned()).collect();
        change(self.series.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default());
    }

    /// What `OpenMetrics` writes behind a bucket, by the text before the bucket's value.
    pub(super) fn exemplars(&self) -> Vec<(String, String)> {
        let all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let of_series = |(values, series): (&Vec<String>, &Series)| {
            let kept = series.exemplars.iter().enumerate();
            let kept = kept.filter_map(|(bucket, exemplar)| Some((bucket, exemplar.clone()?)));
            kept.map(|(bucket, exemplar)| (self.bucket_name(values, bucket), exemplar.text())).collect::<Vec<_>>()
        };
        all.iter().flat_map(of_series).collect()
    }

    fn bucket_name(&self, values: &[String], bucket: usize) -> String {
        let pairs = self.described.labels.iter().zip(values);
        let pairs: Vec<String> = pairs.map(|(label, value)| format!("{label}=\"{}\",", escaped(value))).collect();
        let pairs = pairs.concat();
        let bound = BOUNDS_SECONDS.get(bucket).map_or_else(|| "+Inf".to_owned(), ToString::to_string);
        format!("{}_bucket{{{pairs}le=\"{bound}\"}}", self.described.name)
    }
}

impl Collector for Latency {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut family = MetricFamily::default();
        family.set_name(self.described.name.to_owned());
        family.set_help(self.described.help.to_owned());
        family.set_field_type(MetricType::HISTOGRAM);
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let metrics = series.iter().map(|(values, series)| {
            let mut metric = Metric::default();
            metric.set_label(self.described.labels.iter().zip(values).map(|(name, value)| pair(name, value)).collect());
            metric.set_histogram(series.histogram());
            metric
        });
        family.set_metric(metrics.collect());
        if family.get_metric().is_empty() { Vec::new() } else { vec![family] }
    }
}

impl Series {
    /// Gives the bucket.
    fn record(&mut self, seconds: f64) -> usize {
        let bucket = BOUNDS_SECONDS.partition_point(|bound| *bound < seconds);
        self.counts[bucket] += 1;
        self.sum_seconds += seconds;
        bucket
    }

    fn histogram(&self) -> Histogram {
        let mut histogram = Histogram::default();
        let mut cumulative = 0;
        let buckets = BOUNDS_SECONDS.iter().zip(&self.counts).map(|(bound, count)| {
            cumulative += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(cumulative);
            bucket
        });
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(self.counts.iter().sum());
        histogram.set_sample_sum(self.sum_seconds);
        histogram
    }
}

impl Exemplar {
    fn text(&self) -> String {
        let seconds = self.at.0.div_euclid(1_000_000_000);
        let milliseconds = self.at.0.rem_euclid(1_000_000_000) / 1_000_000;
        format!(" # {{alert_id=\"{}\"}} {} {seconds}.{milliseconds:03}", escaped(&self.alert_id), self.seconds)
    }
}

fn pair(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
