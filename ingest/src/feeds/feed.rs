//! The shape of a feed.

use std::collections::BTreeSet;

use keywatch_store::event::Origin;
use keywatch_store::inventory::{Source, Wallet};
use keywatch_store::kinds::{KINDS, Writer};
use keywatch_store::{Event, Inventory};

use crate::Reject;

/// A foreign format: how its bytes become events. Pure: no clock, no I/O, the same bytes give the same events.
pub trait Feed: Send + Sync {
    /// The name in URLs, on the command line and in the inventory.
    fn name(&self) -> &'static str;

    /// Whether it reads the envelopes of CloudEvents itself; otherwise it gets what is in them.
    fn reads_cloud_events(&self) -> bool {
        false
    }

    /// The kinds of events that it makes: every kind that a source may write, unless the format says fewer.
    fn makes(&self) -> BTreeSet<&'static str> {
        KINDS.iter().filter(|kind| kind.writer == Writer::Source).map(|kind| kind.name).collect()
    }

    /// Reads one body. Every record in it becomes events or a [`Reject`], and one bad record costs no other.
    ///
    /// A body above [`crate::limits::BODY_BYTES_MAX`] or [`crate::limits::RECORDS_MAX`], or whose records are taken apart
    /// into more than that or [`crate::limits::BODY_PARTS_BYTES_MAX`], is one reject as a whole. The events carry no log time; a log with a recorded clock expects its writer to set it.
    fn read(&self, context: &Context<'_>, body: &[u8]) -> Reading;
}

/// What a feed may know besides the bytes.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Who speaks: the authenticated source and the system it may write for.
    pub origin: &'a Origin,
    /// What is declared; a Safe's contract version and chain come from here.
    pub inventory: Option<&'a Inventory>,
}

impl Context<'_> {
    /// The declaration of a wallet of the speaker's system; `wallet` in lower case where its form ignores case.
    #[must_use]
    pub fn wallet(&self, wallet: &str) -> Option<&Wallet> {
        self.inventory?.system(&self.origin.system)?.wallet(wallet)
    }

    /// The declaration of the source that speaks.
    #[must_use]
    pub fn source(&self) -> Option<&Source> {
        let system = self.inventory?.system(&self.origin.system)?;
        system.sources.iter().find(|declared| declared.source == self.origin.source)
    }
}

/// What came of one body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// By event time, equal times in the order of the records: services list the newest first, logs upload out of order.
    pub events: Vec<Event>,
    /// What could not be understood.
    pub rejects: Vec<Reject>,
    /// Records that are nothing of this feed's, as the lines around the decisions in a container's output: counted, neither
    /// kept nor rejected.
    pub skipped: usize,
    /// Records seen: those that became events, those rejected and those skipped.
    pub records: usize,
}
