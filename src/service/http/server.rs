//! What all requests of the HTTP server share: who may speak, where bodies go, what each may take. The routes stand in
//! `routes`.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use keywatch_store::Log;
use tokio::sync::Semaphore;

use super::address::Addresses;
use super::credentials::Current;
use super::credentials::{Credential, Shown};
use super::refusal::Refusal;
use super::turns::{Shared, Turns};
use crate::limits::GATHERING_CONCURRENT_MAX;
use crate::service::intake::Intake;
use crate::service::metrics::Metrics;
use crate::service::readiness::Readiness;

/// What every request may use.
pub(crate) struct Server {
    /// Who may speak now.
    pub(super) credentials: Current,
    /// Where bodies go.
    pub(crate) intake: Arc<Intake>,
    /// The log whose heads are shown, where this process reads it.
    pub(crate) log: Option<Arc<dyn Log>>,
    /// What is ready.
    pub(crate) readiness: Arc<Readiness>,
    /// What is heard from each address.
    pub(super) addresses: Arc<Addresses>,
    /// What all sources share.
    pub(super) shared: Shared,
    /// Memory of bodies of which nobody knows yet whose they are.
    pub(super) unproven: Turns,
    /// Turns of who asks for metrics.
    pub(super) gathering: Arc<Semaphore>,
}

impl Server {
    /// A server over an intake.
    pub(crate) fn new(
        credentials: Current,
        intake: Arc<Intake>,
        log: Option<Arc<dyn Log>>,
        readiness: Arc<Readiness>,
    ) -> Arc<Server> {
        let gathering = Arc::new(Semaphore::new(GATHERING_CONCURRENT_MAX));
        let (addresses, shared, unproven) = (Arc::default(), Shared::new(), Turns::new(None));
        Arc::new(Server { credentials, intake, log, readiness, addresses, shared, unproven, gathering })
    }

    /// The source that shows this, as it is configured now.
    pub(super) fn recognise(&self, shown: &Shown) -> Option<Arc<Credential>> {
        self.credentials.borrow().find(shown).cloned()
    }

    /// Answers a refusal, and counts it.
    pub(super) fn refuse(&self, refusal: Refusal) -> Response {
        self.count(&refusal);
        refusal.into_response()
    }

    pub(super) fn count(&self, refusal: &Refusal) {
        self.metrics().door_refusals.with_label_values(&[refusal.name()]).inc();
    }

    pub(super) fn metrics(&self) -> &Arc<Metrics> {
        &self.intake.metrics
    }
}
