//! A source that may send, as the intake, the credentials and the metrics know it.

use keywatch_ingest::Feed;
use keywatch_store::event::Origin;

/// Whose word a body is, and the feed that reads it.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    /// The system and the source that its events are written under.
    pub(crate) origin: &'a Origin,
    /// The one feed that reads what it sends.
    pub(crate) feed: &'static dyn Feed,
}
