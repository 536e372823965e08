//! How an event is made: field by field, checked at the end.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::detail::{self, CanonicalJson};
use super::texts::text_columns;
use super::{Columns, Event, EventId, Span, TextColumn};
use crate::limits::TEXT_BYTES_MAX;
use crate::{Amount, Error, Instant, kinds};

/// Room for the texts of nearly every event.
const TEXTS_BYTES: usize = 384;

/// What a column of text can be given: a text, or perhaps one.
pub trait TextValue {
    /// The text, if there is one.
    fn text(&self) -> Option<&str>;
}

impl TextValue for str {
    fn text(&self) -> Option<&str> {
        Some(self)
    }
}

impl TextValue for String {
    fn text(&self) -> Option<&str> {
        Some(self)
    }
}

impl TextValue for Cow<'_, str> {
    fn text(&self) -> Option<&str> {
        Some(self)
    }
}

impl<T: TextValue + ?Sized> TextValue for &T {
    fn text(&self) -> Option<&str> {
        (**self).text()
    }
}

impl<T: TextValue> TextValue for Option<T> {
    fn text(&self) -> Option<&str> {
        self.as_ref().and_then(TextValue::text)
    }
}

/// An event in the making. What is said last of a field stands.
#[derive(Clone)]
pub struct Builder {
    columns: Columns,
    texts: String,
    /// Whether the detail was said as something that is no object.
    no_object: bool,
}

/// The setters of columns that hold text.
macro_rules! setters {
    ($({$($(#[$meta:meta])* $name:ident: $column:ident,)*})*) => {$($(
        $(#[$meta])*
        pub fn $name(&mut self, value: impl TextValue) -> &mut Builder {
            self.text(TextColumn::$column, value)
        }
    )*)*};
}

impl Builder {
    /// An event that says nothing, not even who speaks: to be filled in.
    #[must_use]
    pub fn blank() -> Builder {
        Builder { columns: Columns::BLANK, texts: String::with_capacity(TEXTS_BYTES), no_object: false }
    }

    /// Sets a column that holds text; no text clears it.
    pub fn text(&mut self, column: TextColumn, value: impl TextValue) -> &mut Builder {
        let span = value.text().map_or(Span::NONE, |text| self.put(text));
        self.columns.spans.set(column, span);
        self
    }

    /// Gives a column the text that another has been given.
    pub fn copy(&mut self, from: TextColumn, to: TextColumn) -> &mut Builder {
        let span = self.columns.spans.get(from);
        self.columns.spans.set(to, span);
        self
    }

    fn put(&mut self, text: &str) -> Span {
        let begin = self.texts.len();
        self.texts.push_str(text);
        Span::new(begin, text.len())
    }

    /// Its id. [`Event::builder`] derives it.
    pub fn event_id(&mut self, id: EventId) -> &mut Builder {
        self.columns.event_id = id;
        self
    }

    /// Log time, for a log that keeps the time of its records.
    pub fn time(&mut self, time: Instant) -> &mut Builder {
        self.columns.time = time;
        self
    }

    /// What the source claims.
    pub fn event_time(&mut self, time: Instant) -> &mut Builder {
        self.columns.event_time = time;
        self
    }

    /// Whether it came later than its source's declared delay.
    pub fn late(&mut self, late: bool) -> &mut Builder {
        self.columns.late = late;
        self
    }

    /// Autonomous system number.
    pub fn asn(&mut self, asn: impl Into<Option<i64>>) -> &mut Builder {
        self.columns.asn = asn.into();
        self
    }

    /// Base units. An amount that saturates its column has its exact digits in the detail of the event that is built.
    pub fn amount(&mut self, amount: impl Into<Option<Amount>>) -> &mut Builder {
        self.columns.amount = amount.into();
        self
    }

    /// US cents.
    pub fn amount_usd_cents(&mut self, cents: impl Into<Option<i64>>) -> &mut Builder {
        self.columns.amount_usd_cents = cents.into();
        self
    }

    /// Everything that has no column: an object.
    pub fn detail(&mut self, detail: &Value) -> &mut Builder {
        self.no_object = !detail.is_object();
        self.write_detail(|texts| detail::write(detail, texts))
    }

    /// As [`Builder::detail`], of an object of these members and a further one whose canonical text is at hand.
    pub fn detail_with(&mut self, members: &Map<String, Value>, name: &str, further: &CanonicalJson) -> &mut Builder {
        self.no_object = false;
        self.write_detail(|texts| detail::write_with(members, name, further, texts))
    }

    /// As [`Builder::detail`], of an object whose canonical text is at hand.
    pub fn canonical_detail(&mut self, detail: &CanonicalJson) -> &mut Builder {
        self.no_object = !detail.as_str().starts_with('{');
        self.put_detail(detail.as_str())
    }

    /// As [`Builder::canonical_detail`], of text that was canonical when it was kept.
    pub(crate) fn put_detail(&mut self, canonical: &str) -> &mut Builder {
        self.columns.spans.detail = if canonical == "{}" { Span::NONE } else { self.put(canonical) };
        self
    }

    /// Has a detail written behind the texts so far, where it stays; one with nothing in it is none.
    fn write_detail(&mut self, write: impl FnOnce(&mut String)) -> &mut Builder {
        let begin = self.texts.len();
        write(&mut self.texts);
        let is_empty = self.texts[begin..] == *"{}";
        self.columns.spans.detail = if is_empty { Span::NONE } else { Span::new(begin, self.texts.len() - begin) };
        if is_empty {
            self.texts.truncate(begin);
        }
        self
    }

    text_columns! { setters }

    /// The text that a column has been given.
    #[must_use]
    pub fn get(&self, column: TextColumn) -> Option<&str> {
        self.columns.spans.get(column).of(&self.texts)
    }

    /// The id that it has been given.
    #[must_use]
    pub fn id(&self) -> EventId {
        self.columns.event_id
    }

    /// What the source claims, if it has been given.
    #[must_use]
    pub fn claimed(&self) -> Option<Instant> {
        Some(self.columns.event_time).filter(|time| *time != Instant::UNASSIGNED)
    }

    /// The event, if it is one that a log takes: a known kind, names present, texts within their limit.
    ///
    /// # Errors
    /// [`Error::Line`] naming the field.
    pub fn build(&mut self) -> Result<Event, Error> {
        self.check()?;
        self.add_exact_amount();
        Ok(self.take_event())
    }

    /// An event of keywatch's own making: a text beyond its limit is cut there.
    ///
    /// # Panics
    /// When the kind is none of the registry, or a name is missing: a mistake in keywatch.
    #[must_use]
    pub fn build_own(&mut self) -> Event {
        for column in TextColumn::ALL {
            let Some(text) = self.get(column).filter(|text| text.len() > TEXT_BYTES_MAX) else { continue };
            let cut = text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned();
            self.text(column, cut);
        }
        self.build().unwrap_or_else(|problem| panic!("keywatch made a record that is none: {problem}"))
    }

    /// What [`Builder::build`] checks.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let kind = self.get(TextColumn::Kind).unwrap_or_default();
        check_kind(kind)?;
        if self.no_object {
            return Err(Error::line("detail", "must be a JSON object"));
        }
        for column in [TextColumn::System, TextColumn::Source] {
            if self.get(column).is_none_or(str::is_empty) {
                return Err(Error::line(column.name(), "must not be empty"));
            }
        }
        check_lengths(|column| self.get(column))
    }

    fn add_exact_amount(&mut self) {
        let Some(digits) = self.columns.amount.as_ref().and_then(Amount::beyond_column) else { return };
        let said = super::Detail::of(self.columns.spans.detail.of(&self.texts).unwrap_or_default());
        let mut detail = said.value();
        detail[crate::amount::EXACT_KEY] = Value::from(digits);
        self.detail(&detail);
    }

    /// The event as it is, of parts that were checked before.
    pub(crate) fn take_event(&mut self) -> Event {
        let columns = std::mem::replace(&mut self.columns, Columns::BLANK);
        Event::within(columns, Arc::new(std::mem::take(&mut self.texts)))
    }
}

impl From<&Event> for Builder {
    fn from(event: &Event) -> Builder {
        let mut builder = Builder { columns: event.0.columns.clone(), ..Builder::blank() };
        for column in TextColumn::ALL {
            builder.text(column, event.text(column));
        }
        let detail = event.0.columns.spans.detail.of(&event.0.texts);
        builder.columns.spans.detail = detail.map_or(Span::NONE, |text| builder.put(text));
        builder
    }
}

/// A kind of the registry.
pub(crate) fn check_kind(kind: &str) -> Result<(), Error> {
    if kinds::find(kind).is_none() {
        return Err(Error::line("kind", format!("unknown kind `{kind}`; docs/events.md lists them")));
    }
    Ok(())
}

/// Texts within their limit.
pub(crate) fn check_lengths<'a>(text: impl Fn(TextColumn) -> Option<&'a str>) -> Result<(), Error> {
    for column in TextColumn::ALL {
        let length = text(column).map_or(0, str::len);
        if length > TEXT_BYTES_MAX {
            return Err(Error::line(column.name(), format!("{length} bytes, at most {TEXT_BYTES_MAX}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::event::Origin;

    fn builder() -> Builder {
        let origin = Origin { system: "s".into(), source: "a".into() };
        Event::builder(&origin, "1", "decision", Instant(7))
    }

    #[test]
    fn what_is_said_last_of_a_field_stands() {
        let mut made = builder();
        made.actor("one").session("x").actor(Some("two")).session(None::<&str>).detail(&json!({ "b": 1, "a": 2 }));
        let event = made.build().unwrap();
        assert_eq!((event.actor(), event.session()), (Some("two"), None));
        assert_eq!(event.detail().as_str(), r#"{"a":2,"b":1}"#);
        assert_eq!((event.system(), event.source(), event.kind()), ("s", "a", "decision"));
    }

    #[test]
    fn an_event_made_of_another_is_the_same_and_shares_nothing() {
        let mut made = builder();
        made.actor("").wallet("w").asn(7).amount(Amount::from_u128(5)).detail(&json!({ "a": 1 }));
        let event = made.build().unwrap();
        assert_eq!(event.detached(), event);
        assert_eq!(event.to_builder().build().unwrap(), event);
        assert_ne!(event.actor(), None);
    }

    #[test]
    fn what_no_log_takes_is_refused_with_its_field() {
        let refused = |change: &dyn Fn(&mut Builder) -> &mut Builder| {
            let mut made = builder();
            change(&mut made);
            made.build().unwrap_err().to_string()
        };
        assert!(refused(&|made| made.kind("nonsense")).contains("unknown kind `nonsense`"));
        assert!(refused(&|made| made.system("")).contains("system"));
        assert!(refused(&|made| made.reason("x".repeat(TEXT_BYTES_MAX + 1))).contains("reason"));
        assert!(refused(&|made| made.detail(&json!([1]))).contains("object"));
    }

    #[test]
    fn a_record_of_our_own_is_cut_at_the_limit() {
        let mut made = builder();
        made.reason("ü".repeat(TEXT_BYTES_MAX));
        assert_eq!(made.build_own().reason().map(str::len), Some(TEXT_BYTES_MAX));
    }

    #[test]
    fn an_amount_beyond_its_column_stands_in_the_detail() {
        let mut made = builder();
        made.amount(Amount::from_u128(u128::MAX)).detail(&json!({ "a": 1 }));
        let event = made.build().unwrap();
        assert_eq!(event.detail().value(), json!({ "a": 1, "amount_exact": u128::MAX.to_string() }));
    }
}
