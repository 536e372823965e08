//! The event: one flat record for everything that a feed, keywatch itself or a rule says.
//!
//! All texts of an event lie in one buffer, which events that were read together share. An event is made by a
//! [`Builder`], or read from a line ([`crate::line`]), and not changed afterwards but for what a log gives it: its log
//! time and whether it came late. It is made without a log time; [`crate::log::admission`] gives it one. Nothing here reads
//! a clock.

mod builder;
mod detail;
mod id;
mod texts;

use std::sync::Arc;

use crate::{Amount, Instant};
pub use builder::{Builder, TextValue};
pub(crate) use builder::{check_kind, check_lengths};
pub use detail::{CanonicalJson, Detail, Instead, Place, needs_no_escape};
pub use id::EventId;
pub use texts::TextColumn;
use texts::text_columns;
pub(crate) use texts::{Span, Spans};

/// Who speaks: the authenticated credential of a feed and the system it may write for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The CCSS trusted environment; the partition key of the log.
    pub system: String,
    /// The authenticated source, as the inventory names it.
    pub source: String,
}

/// One record of the log.
///
/// A clone shares the texts of the event that it is made of. Events that were read together share one buffer, so who keeps
/// one of them for long keeps [`Event::detached`].
#[derive(Clone)]
pub struct Event(Arc<Record>);

/// What an event is made of. It stays where it was made: an event that goes from hand to hand is a pointer to it.
#[derive(Clone)]
struct Record {
    columns: Columns,
    texts: Arc<String>,
}

/// Everything of an event but its texts, of which it knows where they lie.
#[derive(Clone)]
pub(crate) struct Columns {
    pub(crate) event_id: EventId,
    pub(crate) time: Instant,
    pub(crate) event_time: Instant,
    pub(crate) late: bool,
    pub(crate) asn: Option<i64>,
    pub(crate) amount: Option<Amount>,
    pub(crate) amount_usd_cents: Option<i64>,
    pub(crate) spans: Spans,
}

impl Columns {
    pub(crate) const BLANK: Columns = Columns {
        event_id: EventId([0; 16]),
        time: Instant::UNASSIGNED,
        event_time: Instant::UNASSIGNED,
        late: false,
        asn: None,
        amount: None,
        amount_usd_cents: None,
        spans: Spans::NONE,
    };
}

/// The accessors of columns that hold text in some events.
macro_rules! optional_texts {
    ({$($always:tt)*} {$($(#[$meta:meta])* $name:ident: $column:ident,)*}) => {$(
        $(#[$meta])*
        #[inline]
        #[must_use]
        pub fn $name(&self) -> Option<&str> {
            self.text(TextColumn::$column)
        }
    )*};
}

impl Event {
    /// An event of `kind` that `origin` calls `source_id`, to be filled in.
    #[must_use]
    pub fn builder(origin: &Origin, source_id: &str, kind: &str, event_time: Instant) -> Builder {
        let mut builder = Builder::blank();
        builder.event_id(EventId::derive(&origin.system, &origin.source, source_id));
        builder.system(&origin.system).source(&origin.source).kind(kind).event_time(event_time);
        builder
    }

    /// An event whose texts lie in `texts` where `columns` says.
    pub(crate) fn within(columns: Columns, texts: Arc<String>) -> Event {
        Event(Arc::new(Record { columns, texts }))
    }

    /// The text of a column; `None` when the event has none.
    #[inline]
    #[must_use]
    pub fn text(&self, column: TextColumn) -> Option<&str> {
        self.0.columns.spans.get(column).of(&self.0.texts)
    }

    /// Derived from system, source and the source's own id.
    #[inline]
    #[must_use]
    pub fn event_id(&self) -> EventId {
        self.0.columns.event_id
    }

    /// The trusted environment it belongs to.
    #[inline]
    #[must_use]
    pub fn system(&self) -> &str {
        self.text(TextColumn::System).unwrap_or_default()
    }

    /// Log time, nanoseconds UTC; [`Instant::UNASSIGNED`] until a log admits it.
    #[inline]
    #[must_use]
    pub fn time(&self) -> Instant {
        self.0.columns.time
    }

    /// What the source claims, nanoseconds UTC.
    #[inline]
    #[must_use]
    pub fn event_time(&self) -> Instant {
        self.0.columns.event_time
    }

    /// The authenticated source.
    #[inline]
    #[must_use]
    pub fn source(&self) -> &str {
        self.text(TextColumn::Source).unwrap_or_default()
    }

    /// A name of the registry in [`crate::kinds`].
    #[inline]
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text(TextColumn::Kind).unwrap_or_default()
    }

    /// Older on arrival than its source's declared delay.
    #[inline]
    #[must_use]
    pub fn late(&self) -> bool {
        self.0.columns.late
    }

    /// Autonomous system number of `ip`.
    #[inline]
    #[must_use]
    pub fn asn(&self) -> Option<i64> {
        self.0.columns.asn
    }

    /// Base units.
    #[inline]
    #[must_use]
    pub fn amount(&self) -> Option<&Amount> {
        self.0.columns.amount.as_ref()
    }

    /// US cents.
    #[inline]
    #[must_use]
    pub fn amount_usd_cents(&self) -> Option<i64> {
        self.0.columns.amount_usd_cents
    }

    /// Everything else, as canonical JSON.
    #[inline]
    #[must_use]
    pub fn detail(&self) -> Detail<'_> {
        Detail::of(self.0.columns.spans.detail.of(&self.0.texts).unwrap_or_default())
    }

    text_columns! { optional_texts }

    /// Gives it a log time: the one that a log, or who writes to a log with a recorded clock, says it has.
    pub fn set_time(&mut self, time: Instant) {
        Arc::make_mut(&mut self.0).columns.time = time;
    }

    /// Says whether it came late.
    pub fn set_late(&mut self, late: bool) {
        // Nearly always it is as it was said to be.
        if late != self.late() {
            Arc::make_mut(&mut self.0).columns.late = late;
        }
    }

    /// The same event with a buffer of its own, for who keeps it longer than those that it was read with.
    #[must_use]
    pub fn detached(&self) -> Event {
        self.to_builder().take_event()
    }

    /// An event like this one but for what `change` says.
    #[must_use]
    pub fn changed(&self, change: impl FnOnce(&mut Builder) -> &mut Builder) -> Event {
        change(&mut self.to_builder()).build_own()
    }

    /// What makes an event like this one, to be changed.
    #[must_use]
    pub fn to_builder(&self) -> Builder {
        Builder::from(self)
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Event) -> bool {
        let (one, two) = (&self.0.columns, &other.0.columns);
        one.event_id == two.event_id
            && one.time == two.time
            && one.event_time == two.event_time
            && one.late == two.late
            && one.asn == two.asn
            && one.amount == two.amount
            && one.amount_usd_cents == two.amount_usd_cents
            && TextColumn::ALL.iter().all(|column| self.text(*column) == other.text(*column))
            && self.detail() == other.detail()
    }
}

impl Eq for Event {}
