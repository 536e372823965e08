//! An event of a table in the making.

use keywatch_store::event::{Builder, TextColumn};
use keywatch_store::{Amount, Event, Instant};
use serde_json::{Map, Number, Value, json};

use super::{Column, Fact, countries, kept, path, value};
use crate::chain::address::canonical;
use crate::feeds::opa::usd_cents;
use crate::reject::capped;
use crate::{Context, Problem, limits, mask};

/// The columns and the detail so far.
pub(crate) struct Draft {
    pub(crate) event: Builder,
    pub(crate) detail: Map<String, Value>,
}

impl Draft {
    pub(super) fn new(context: &Context<'_>, id: &str, kind: &str, time: Instant) -> Draft {
        Draft { event: Event::builder(context.origin, id, kind, time), detail: Map::new() }
    }

    /// Fills a column from a path; one that leads nowhere leaves it as it is.
    pub(super) fn fill(&mut self, column: Column, record: &Value, path: &str) -> Result<(), Problem> {
        match value::text(record, path)? {
            Some(text) => self.set(column, &text).map_err(|reason| Problem::new(path, reason)),
            None => Ok(()),
        }
    }

    /// Gives a column a text, in the form that the column has.
    pub(crate) fn set(&mut self, column: Column, text: &str) -> Result<(), String> {
        match column {
            Column::Ip => _ = self.event.ip(value::ip(text)),
            Column::Country => self.set_country(text),
            Column::Asn => _ = self.event.asn(value::asn(text)),
            Column::Amount => _ = self.event.amount(Amount::from_digits(text)?),
            Column::AmountUsd => _ = self.event.amount_usd_cents(dollars(text)?),
            Column::Reason => {
                // Cut before it is masked: masking long text costs more than its length.
                let masked = mask::text(&capped(text, limits::REASON_BYTES_MAX));
                self.event.reason(capped(&masked, limits::REASON_BYTES_MAX));
            }
            Column::Chain => _ = self.event.chain(text.to_ascii_lowercase()),
            other => _ = self.event.text(other.text_column(), canonical(text)),
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
        self.detail.insert("by".to_owned(), Value::from(by));
    }

    /// It happened to `person`, done by the actor so far; a user's name at the end of an ARN is that user.
    pub(super) fn done_to(&mut self, person: Option<String>) {
        let Some(person) = person.map(|person| canonical(&person)) else { return };
        let by = self.event.get(TextColumn::Actor).unwrap_or_default().to_owned();
        if by != person && !by.ends_with(&format!("/{person}")) {
            self.belong(person, by);
        }
    }

    /// Adds a fact to the detail.
    pub(super) fn say(&mut self, name: &str, record: &Value, fact: Fact) {
        let said = match fact {
            Fact::At(at) => path::find(record, at).map(|found| masked(found.clone())),
            other => value::word(record, other).map(Value::from),
        };
        if let Some(said) = said {
            self.detail.insert(name.to_owned(), said);
        }
    }

    pub(crate) fn outcome(&mut self, word: Option<String>) {
        self.event.outcome(word);
    }

    /// Keeps the record itself.
    pub(super) fn keep(&mut self, record: &Value, hidden: &[&str]) {
        let (record, left_out) = kept::of(record, hidden);
        self.detail.insert("record".to_owned(), record);
        if !left_out.is_empty() {
            self.detail.insert("left_out".to_owned(), json!(left_out));
        }
    }

    /// The event; the chain of a declared wallet is known.
    pub(super) fn event(mut self, context: &Context<'_>) -> Result<Event, Problem> {
        if self.event.get(TextColumn::Chain).is_none() {
            let declared = self.event.get(TextColumn::Wallet).and_then(|wallet| context.wallet(wallet));
            self.event.chain(declared.map(|wallet| wallet.chain.as_str()));
        }
        self.event.detail(&Value::Object(self.detail));
        Ok(self.event.build()?)
    }
}

/// A fact of the source's making: no secrets, and not beyond its size.
fn masked(mut fact: Value) -> Value {
    if let Value::String(text) = &fact {
        fact = Value::from(capped(text, limits::FACT_BYTES_MAX));
    } else if fact.to_string().len() > limits::FACT_BYTES_MAX {
        return Value::from("too large");
    }
    mask::values(&mut fact);
    kept::hide(&mut fact, &[]);
    fact
}

fn dollars(text: &str) -> Result<i64, String> {
    let number: Option<Number> = serde_json::from_str(text).ok();
    let cents = number.and_then(|number| usd_cents(&number.to_string()));
    cents.ok_or_else(|| format!("`{}` is no sum of dollars", value::shortened(text)))
}

impl Column {
    /// The name in `events`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Column::Asn => "asn",
            Column::Amount => "amount",
            Column::AmountUsd => "amount_usd",
            other => other.text_column().name(),
        }
    }

    fn text_column(self) -> TextColumn {
        match self {
            Column::Actor => TextColumn::Actor,
            Column::Session => TextColumn::Session,
            Column::Device => TextColumn::Device,
            Column::Ip => TextColumn::Ip,
            Column::Country => TextColumn::Country,
            Column::Wallet => TextColumn::Wallet,
            Column::Key => TextColumn::Key,
            Column::Request => TextColumn::Request,
            Column::Decision => TextColumn::Decision,
            Column::Tx => TextColumn::Tx,
            Column::Chain => TextColumn::Chain,
            Column::Asset => TextColumn::Asset,
            Column::FromAddress => TextColumn::FromAddress,
            Column::ToAddress => TextColumn::ToAddress,
            Column::Reason | Column::Asn | Column::Amount | Column::AmountUsd => TextColumn::Reason,
        }
    }
}
