//! Responses that go another way than the decision point: which of them are open, and what becomes of them when the response
//! that they go along with is not to be carried out any more.

use super::Responses;
use crate::response::intent::{Progress, Step};

impl Responses {
    /// Decided and not accepted yet, on ways besides the decision point.
    pub fn open_ways(&self) -> impl Iterator<Item = &Progress> {
        self.by_id.values().filter(|progress| progress.is_open() && progress.response.via.is_some())
    }

    /// Those that wait for a person to go another way along with the response `of`.
    pub fn waiting_along<'a>(&'a self, of: &'a str) -> impl Iterator<Item = &'a Progress> {
        let goes_along = move |progress: &&Progress| progress.response.via.as_ref().is_some_and(|via| via.of == of);
        self.by_id.values().filter(|progress| progress.is_waiting()).filter(goes_along)
    }

    /// The response `of` was rejected, taken back or released: what goes along with it and has not ended does not begin, and
    /// is not tried again.
    pub(super) fn end_ways(&mut self, of: &str) {
        let Some(ended) = self.by_id.get(of).map(|progress| progress.step.clone()) else { return };
        let along = self.by_id.values_mut().filter(|progress| {
            let goes_along = progress.response.via.as_ref().is_some_and(|via| via.of == of);
            goes_along && (progress.is_waiting() || progress.is_open())
        });
        for progress in along {
            let waiting = progress.is_waiting();
            progress.step = match &ended {
                Step::Released if waiting => Step::Released,
                Step::Rejected { by, reason } | Step::Undone { by, reason } => {
                    let (by, reason) = (by.clone(), format!("with the response that it goes along with: {reason}"));
                    if waiting { Step::Rejected { by, reason } } else { Step::Undone { by, reason } }
                }
                _ => continue,
            };
        }
    }
}
