//! An event of a table in the making: columns in their form, facts and the record in the detail.
//!
//! It knows no kinds and no feed. It does not check that a person, device or wallet exists, and takes a user's name at the
//! end of an ARN for that user whatever the account.

use keywatch_store::event::{Builder, CanonicalJson, TextColumn};
use keywatch_store::{Amount, Event, Instant};
use serde_json::{Map, Number, Value, json};

use super::kept::{self, Kept};
use super::{Column, Fact, countries, path, value};
use crate::chain::address::{canonical, in_canonical_form};
use crate::feeds::dollars::usd_cents;
use crate::feeds::json::written_bytes;
use crate::reject::capped;
use crate::{Context, Problem, limits, mask};

/// The columns and the detail so far.
pub(crate) struct Draft {
    pub(crate) event: Builder,
    pub(crate) detail: Map<String, Value>,
    /// The record as it is kept, which stands in the detail too.
    record: Option<CanonicalJson>,
    /// Somebody else than the event's actor did it.
    pub(crate) done_by_another: bool,
}

impl Draft {
    pub(super) fn new(context: &Context<'_>, id: &str, kind: &str, time: Instant) -> Draft {
        let event = Event::builder(context.origin, id, kind, time);
        Draft { event, detail: Map::new(), record: None, done_by_another: false }
    }

    /// Fills a column from a path; one that leads nowhere leaves it as it is.
    pub(super) fn fill(&mut self, column: Column, record: &Value, path: &str) -> Result<(), Problem> {
        match value::text(record, path)? {
            Some(text) => self.set(column, text).map_err(|reason| Problem::new(path, reason)),
            None => Ok(()),
        }
    }

    /// Gives a column a text, in the form that the column has.
    pub(crate) fn set(&mut self, column: Column, text: &str) -> Result<(), String> {
        match column.form() {
            Form::Asn => _ = self.event.asn(value::asn(text)),
            Form::Amount => _ = self.event.amount(Amount::from_digits(text)?),
            Form::Dollars => _ = self.event.amount_usd_cents(dollars(text)?),
            Form::Text(TextColumn::Ip) => _ = self.event.ip(value::ip(text)),
            Form::Text(TextColumn::Country) => self.set_country(text),
            Form::Text(TextColumn::Reason) => {
                // Cut before it is masked: masking long text costs more than its length.
                let masked = mask::text(&capped(text, limits::REASON_BYTES_MAX));
                self.event.reason(capped(&masked, limits::REASON_BYTES_MAX));
            }
            Form::Text(TextColumn::Chain) => _ = self.event.chain(text.to_ascii_lowercase()),
            Form::Text(other) => _ = self.event.text(other, in_canonical_form(text)),
        }
        Ok(())
    }

    /// A country that is neither a code nor a known name is said in the detail only.
    fn set_country(&mut self, text: &str) {
        let code = countries::code(text);
        if code.is_none() {
            self.detail.insert("country_name".to_owned(), Value::from(capped(text, limits::NAME_BYTES_MAX)));
        }
        self.event.country(code);
    }

    /// Gives the event to the person that it happened to, and takes from it what is of whoever did it.
    fn belong(&mut self, person: String, by: String) {
        self.event.actor(person).session(None::<&str>).device(None::<&str>).ip(None::<&str>).country(None::<&str>);
        self.event.asn(None::<i64>);
        self.done_by_another = true;
        if !by.is_empty() {
            self.detail.insert("by".to_owned(), Value::from(by));
        }
    }

    /// It happened to `person`, done by the actor so far. A name at the end of a user's ARN is that user; at the end of an
    /// assumed role's it is whatever the caller chose to be called.
    pub(super) fn done_to(&mut self, person: Option<&str>) {
        let Some(person) = person.map(canonical) else { return };
        let by = self.event.get(TextColumn::Actor).unwrap_or_default().to_owned();
        let is_own_name = by.contains(":user/") && by.ends_with(&format!("/{person}"));
        if by != person && !is_own_name {
            self.belong(person, by);
        }
    }

    /// Adds a fact to the detail, without what is hidden in it.
    pub(super) fn say(&mut self, name: &str, record: &Value, fact: &Fact, hidden: &[&str]) -> Result<(), Problem> {
        let said = match fact {
            Fact::At(at) => path::find(record, at).map(|found| masked(found, hidden)),
            other => value::word(record, other)?.map(Value::from),
        };
        if let Some(said) = said {
            self.detail.insert(name.to_owned(), said);
        }
        Ok(())
    }

    pub(crate) fn outcome(&mut self, word: Option<&str>) {
        self.event.outcome(word);
    }

    /// Keeps of the record itself what is to be kept.
    pub(super) fn keep(&mut self, kept: Kept) {
        self.record = Some(kept.record);
        if !kept.left_out.is_empty() {
            self.detail.insert("left_out".to_owned(), json!(kept.left_out));
        }
    }

    /// The event; the chain of a declared wallet is known.
    pub(super) fn event(mut self, context: &Context<'_>) -> Result<Event, Problem> {
        if self.event.get(TextColumn::Chain).is_none() {
            let declared = self.event.get(TextColumn::Wallet).and_then(|wallet| context.wallet(wallet));
            self.event.chain(declared.map(|wallet| wallet.chain.as_str()));
        }
        match &self.record {
            Some(record) => self.event.detail_with(&self.detail, "record", record),
            None => self.event.detail(&Value::Object(self.detail)),
        };
        Ok(self.event.build()?)
    }
}

/// A fact of the source's making: no secrets, nothing personal, and not beyond its size.
fn masked(fact: &Value, hidden: &[&str]) -> Value {
    let mut fact = match fact {
        Value::String(text) => Value::from(capped(text, limits::FACT_BYTES_MAX)),
        other if written_bytes(other) > limits::FACT_BYTES_MAX => return Value::from("too large"),
        other => other.clone(),
    };
    mask::values(&mut fact);
    kept::hide(&mut fact, hidden);
    fact
}

fn dollars(text: &str) -> Result<i64, String> {
    let number: Option<Number> = serde_json::from_str(text).ok();
    let cents = number.and_then(|number| usd_cents(&number.to_string()));
    cents.ok_or_else(|| format!("`{}` is no sum of dollars", value::shortened(text)))
}

/// What a column holds.
enum Form {
    Text(TextColumn),
    Asn,
    Amount,
    Dollars,
}

impl Column {
    /// Every column that a path can fill.
    pub(crate) const ALL: [Column; 18] = [
        Column::Actor,
        Column::Session,
        Column::Device,
        Column::Ip,
        Column::Country,
        Column::Asn,
        Column::Wallet,
        Column::Key,
        Column::Request,
        Column::Decision,
        Column::Tx,
        Column::Chain,
        Column::Asset,
        Column::FromAddress,
        Column::ToAddress,
        Column::Amount,
        Column::AmountUsd,
        Column::Reason,
    ];

    /// The column of that name.
    pub(crate) fn find(name: &str) -> Option<Column> {
        Column::ALL.into_iter().find(|column| column.name() == name)
    }

    /// The name in `events`.
    pub(crate) fn name(self) -> &'static str {
        match self.form() {
            Form::Text(column) => column.name(),
            Form::Asn => "asn",
            Form::Amount => "amount",
            Form::Dollars => "amount_usd",
        }
    }

    fn form(self) -> Form {
        match self {
            Column::Actor => Form::Text(TextColumn::Actor),
            Column::Session => Form::Text(TextColumn::Session),
            Column::Device => Form::Text(TextColumn::Device),
            Column::Ip => Form::Text(TextColumn::Ip),
            Column::Country => Form::Text(TextColumn::Country),
            Column::Asn => Form::Asn,
            Column::Wallet => Form::Text(TextColumn::Wallet),
            Column::Key => Form::Text(TextColumn::Key),
            Column::Request => Form::Text(TextColumn::Request),
            Column::Decision => Form::Text(TextColumn::Decision),
            Column::Tx => Form::Text(TextColumn::Tx),
            Column::Chain => Form::Text(TextColumn::Chain),
            Column::Asset => Form::Text(TextColumn::Asset),
            Column::FromAddress => Form::Text(TextColumn::FromAddress),
            Column::ToAddress => Form::Text(TextColumn::ToAddress),
            Column::Amount => Form::Amount,
            Column::AmountUsd => Form::Dollars,
            Column::Reason => Form::Text(TextColumn::Reason),
        }
    }
}
