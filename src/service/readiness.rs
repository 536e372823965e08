//! Whether each part is ready, for `/readyz`, and what people should know of one that is. A part that says nothing is not asked
//! about.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::service::metrics::Metrics;

/// What keeps keywatch from being ready, by part.
pub(crate) struct Readiness {
    obstacles: Mutex<BTreeMap<&'static str, String>>,
    warnings: Mutex<BTreeMap<&'static str, String>>,
    metrics: Arc<Metrics>,
}

impl Readiness {
    /// Ready.
    pub(crate) fn new(metrics: Arc<Metrics>) -> Arc<Readiness> {
        metrics.ready.with_label_values::<&str>(&[]).set(1);
        Arc::new(Readiness { obstacles: Mutex::default(), warnings: Mutex::default(), metrics })
    }

    /// `part` is ready.
    pub(crate) fn clear(&self, part: &'static str) {
        self.change(|obstacles| obstacles.remove(part));
    }

    /// `part` is not ready, and why.
    pub(crate) fn obstruct(&self, part: &'static str, why: impl Into<String>) {
        let why = why.into();
        self.change(|obstacles| obstacles.insert(part, why));
    }

    /// What stands in the way; empty when everything is ready.
    pub(crate) fn obstacles(&self) -> BTreeMap<&'static str, String> {
        self.obstacles.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `part` is ready, and people should know something of it all the same.
    pub(crate) fn warn(&self, part: &'static str, of: impl Into<String>) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).insert(part, of.into());
    }

    /// What people should have known of `part` is over.
    pub(crate) fn settle(&self, part: &'static str) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).remove(part);
    }

    /// What people should know.
    pub(crate) fn warnings(&self) -> BTreeMap<&'static str, String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<&'static str, String>) -> Option<String>) {
        let mut obstacles = self.obstacles.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut obstacles);
        self.metrics.ready.with_label_values::<&str>(&[]).set(i64::from(obstacles.is_empty()));
    }
}
