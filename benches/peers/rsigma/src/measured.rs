//! Reading the files is not timed; parsing each line and evaluating it is. One thread, settings as they come but for the
//! field that holds the time and for matches of rules that only windows refer to, which are not told (as in keywatch).

use std::time::Instant;

use cpu_time::ProcessTime;
use rsigma_eval::{CorrelationConfig, CorrelationEngine, JsonEvent};

/// Writes what it measured as one line of JSON.
pub(crate) fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rules = std::fs::read_to_string(&arguments[0]).expect("the rules can be read");
    let events = std::fs::read_to_string(&arguments[1]).expect("the events can be read");
    let lines: Vec<&str> = events.lines().collect();
    let before = status_bytes("VmRSS:");
    let mut engine = engine(&rules);
    let (mut plain, mut windows) = (0_u64, 0_u64);
    let (cpu, wall) = (ProcessTime::now(), Instant::now());
    for line in &lines {
        let value: serde_json::Value = serde_json::from_str(line).expect("every line is JSON");
        for result in engine.process_event(&JsonEvent::borrow(&value)) {
            *(if result.is_correlation() { &mut windows } else { &mut plain }) += 1;
        }
    }
    let (cpu, wall) = (cpu.elapsed().as_nanos(), wall.elapsed().as_nanos());
    println!(
        "{{\"events\":{},\"cpu_ns\":{cpu},\"wall_ns\":{wall},\"findings\":{plain},\"peak_bytes\":{},\"before_bytes\":{before},\
         \"batch_us\":[],\"note\":\"windows found {windows}\"}}",
        lines.len(),
        status_bytes("VmHWM:")
    );
}

fn engine(rules: &str) -> CorrelationEngine {
    let config = CorrelationConfig {
        timestamp_fields: vec!["time".to_owned()],
        emit_detections: false,
        ..CorrelationConfig::default()
    };
    let mut engine = CorrelationEngine::new(config);
    let collection = rsigma_parser::parse_sigma_yaml(rules).expect("the rules are Sigma");
    assert!(collection.errors.is_empty(), "{:?}", collection.errors);
    engine.add_collection(&collection).expect("the rules compile");
    engine
}

fn status_bytes(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB")?.parse().ok());
    value.unwrap_or(0_u64) * 1024
}
