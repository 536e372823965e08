//! What is heard after a revocation is told with the record that says it, and not with the heartbeat after it: when people are
//! told hangs on the log and not on the moment at which it is read.

use keywatch_store::{Finding, Instant};

use super::Executor;
use crate::error::Error;
use crate::lifecycle::self_monitoring::{allowed_after_revocation, control_signed};
use crate::response::intent::Progress;

impl Executor {
    /// Tells what was heard of the revocations of a system until log time `until`, as far as nobody was told: that something
    /// revoked was allowed, or that the control signed; and writes down which alerts stand on what was taken back by then. Before a
    /// finding is planned, what was heard before it is told, so that the order of pages does not hang on how many records are read at
    /// once.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub(super) async fn tell_aftermath(&self, system: &str, until: Instant) -> Result<(), Error> {
        let mut untold: Vec<Finding> = self.with_state(|state| {
            let of_system = state.responses().iter().filter(|progress| progress.response.system == system);
            let allowed = of_system.filter_map(|progress| self.allowed(progress));
            let misused = state.responses().misused().filter(|(of, _, _)| *of == system);
            let signed = misused.map(|(of, event, time)| control_signed(of, event, time));
            let heard = allowed.chain(signed).filter(|finding| finding.decided <= until);
            heard.filter(|finding| !state.is_planned(finding)).collect()
        });
        // In the order of the log, and after what was due before, as where records are read one by one.
        untold.sort_by_key(|finding| finding.decided);
        for finding in &untold {
            self.tell_retracted(system, finding.decided).await?;
            self.page_waiting(system, finding.decided).await?;
            self.take_own(finding).await?;
        }
        self.tell_retracted(system, until).await
    }

    /// The finding that something revoked was allowed, where the decision point that revokes made the decision.
    pub(super) fn allowed(&self, progress: &Progress) -> Option<Finding> {
        let is_its_own = self.shared.responder.makes_the_decisions(&progress.response.system);
        allowed_after_revocation(progress).filter(|_| is_its_own)
    }
}
