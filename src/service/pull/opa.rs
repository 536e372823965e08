//! The status of an Open Policy Agent (`GET /v1/status`), for one that does not push it. It has no list and no place in it:
//! each answer is what holds now.

use keywatch_store::Instant;

use super::cursor::Cursor;
use super::puller::{Page, Pull};
use super::service::{Service, Trouble};

/// A replica.
pub(super) struct Opa {
    pub(super) service: Service,
}

impl Pull for Opa {
    async fn page(&self, _: &Cursor, _: Instant) -> Result<Page, Trouble> {
        let answer = self.service.get(self.service.at("/v1/status")?).await?;
        Ok(Page { rest: answer.rest(), body: answer.body, ..Page::default() })
    }
}
