//! A rule as it is run, said for people: what it is given, its steps, and what its windows remember now.

use crate::engine::Engine;
use crate::plan::describe::{Step, Windows};
use crate::plan::pipeline::{Pipeline, Source};
use crate::window::Operator;

/// How a rule is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Kinds of the events that it is given; `None` for all.
    pub kinds: Option<Vec<String>>,
    /// Columns of them that it reads.
    pub columns: Vec<String>,
    /// Nanoseconds between an event and the record that decides on it.
    pub following_ns: i64,
    /// From the events up.
    pub steps: Vec<Step>,
}

impl Engine {
    /// How a rule is run, and what its windows remember now; `None` when there is no such rule.
    #[must_use]
    pub fn describe(&self, rule: &str) -> Option<Description> {
        let planned = &self.rules.iter().find(|loaded| loaded.rule.id == rule)?.planned;
        let mut steps = planned.steps.clone();
        let windows = steps.iter_mut().filter_map(|step| match step {
            Step::Windows(windows) => Some(windows),
            _ => None,
        });
        windows.zip(planned.pipeline.operators()).for_each(|(windows, operator)| fill_in(windows, operator));
        Some(Description {
            kinds: planned.kinds.as_ref().map(|kinds| kinds.iter().cloned().collect()),
            columns: columns(&planned.pipeline),
            following_ns: planned.following_ns,
            steps,
        })
    }
}

fn columns(pipeline: &Pipeline) -> Vec<String> {
    match &pipeline.source {
        Source::Events(_) => pipeline.schema.fields().iter().map(|field| field.name().clone()).collect(),
        Source::Inventory(..) | Source::Nothing => Vec::new(),
    }
}

fn fill_in(windows: &mut Windows, operator: &Operator) {
    (windows.waits_ns, windows.waiting) = operator.waiting();
    windows.groups = operator.groups();
    for group in &mut windows.groups {
        for window in &mut group.windows {
            let Some([name, function, key]) = windows.columns.get(window.column) else { continue };
            (window.name, window.function) = (name.clone(), function.clone());
            group.key.clone_from(key);
        }
    }
}
