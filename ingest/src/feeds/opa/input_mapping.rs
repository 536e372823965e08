//! Where a policy's input keeps what keywatch asks of it, as JSON pointers (RFC 6901), and the input as far as it may
//! be read.

use std::borrow::Cow;

use keywatch_store::event::{Builder, CanonicalJson};
use serde::Deserialize;
use serde_json::Value;

use crate::chain::address::in_canonical_form;
use crate::feeds::dollars::usd_cents;
use crate::mask;

type Pointer = Cow<'static, str>;

/// JSON pointers into the input. In configuration a field left out keeps its standard value.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InputMapping {
    /// Who asks; text.
    pub subject: Pointer,
    /// Session id; text.
    pub session: Pointer,
    /// Signing request; text.
    pub request: Pointer,
    /// Wallet; text.
    pub wallet: Pointer,
    /// Where value goes; text.
    pub destination: Pointer,
    /// US dollars; a number.
    pub amount_usd: Pointer,
    /// Device id; text.
    pub device: Pointer,
    /// Address of the subject; text.
    pub ip: Pointer,
    /// Risk score of the destination; a number.
    pub risk: Pointer,
    /// Approvals; an array.
    pub approvals: Pointer,
    /// Within an approval: who; text.
    pub approver: Pointer,
    /// Within an approval: whether it is affirmative; a boolean.
    pub affirmed: Pointer,
    /// Who started the request; text.
    pub initiator: Pointer,
}

impl InputMapping {
    /// That of keywatch's own wallet-signing policy.
    pub const STANDARD: InputMapping = InputMapping {
        subject: Cow::Borrowed("/subject"),
        session: Cow::Borrowed("/session_id"),
        request: Cow::Borrowed("/request_id"),
        wallet: Cow::Borrowed("/wallet"),
        destination: Cow::Borrowed("/destination"),
        amount_usd: Cow::Borrowed("/amount_usd"),
        device: Cow::Borrowed("/device_id"),
        ip: Cow::Borrowed("/ip"),
        risk: Cow::Borrowed("/destination_risk_score"),
        approvals: Cow::Borrowed("/human_approvals"),
        approver: Cow::Borrowed("/user"),
        affirmed: Cow::Borrowed("/approved"),
        initiator: Cow::Borrowed("/initiator"),
    };

    /// Fills the columns. A field of another type than text fills none; its type is a fact in the detail.
    pub(super) fn fill(&self, event: &mut Builder, input: &Input<'_>) {
        event.actor(input.text(&self.subject).map(in_canonical_form));
        event.session(input.text(&self.session));
        event.request(input.text(&self.request).map(in_canonical_form));
        event.wallet(input.text(&self.wallet).map(in_canonical_form));
        event.to_address(input.text(&self.destination).map(in_canonical_form));
        event.device(input.text(&self.device));
        event.ip(input.text(&self.ip));
        let cents = match input.at(&self.amount_usd) {
            Found::Value(Value::Number(number)) => usd_cents(number.as_str()),
            _ => None,
        };
        event.amount_usd_cents(cents);
    }
}

impl Default for InputMapping {
    fn default() -> Self {
        InputMapping::STANDARD
    }
}

/// What stands at a pointer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Found<'a> {
    /// This, null included.
    Value(&'a Value),
    /// The replica erased or masked it, or what it stands in.
    Masked,
    /// Nothing.
    Absent,
}

/// The input of a decision, with what the replica hid from the log.
pub(super) struct Input<'a> {
    value: &'a Value,
    /// Pointers into the input, split; `*` stands for any one segment.
    hidden: Vec<Vec<String>>,
}

impl<'a> Input<'a> {
    /// `hidden`: pointers into the log record, of which those below `/input` matter.
    pub(super) fn new(value: &'a Value, hidden: &[String]) -> Input<'a> {
        let inside = |pointer: &String| {
            let mut segments = segments(pointer);
            (!segments.is_empty() && segments.remove(0) == "input").then_some(segments)
        };
        Input { value, hidden: hidden.iter().filter_map(inside).collect() }
    }

    pub(super) fn at(&self, pointer: &str) -> Found<'a> {
        if self.hides(pointer) {
            return Found::Masked;
        }
        let found = match (self.value, pointer.strip_prefix('/')) {
            // Most pointers are the name of a member.
            (Value::Object(members), Some(name)) if !name.contains(['/', '~']) => members.get(name),
            (value, _) => value.pointer(pointer),
        };
        found.map_or(Found::Absent, Found::Value)
    }

    /// Whether what stands at `pointer` is hidden, or something that it stands in. Few replicas hide anything.
    fn hides(&self, pointer: &str) -> bool {
        if self.hidden.is_empty() {
            return false;
        }
        let wanted = segments(pointer);
        self.hidden.iter().any(|hidden| hidden.len() <= wanted.len() && matches(hidden, &wanted))
    }

    pub(super) fn text(&self, pointer: &str) -> Option<&'a str> {
        match self.at(pointer) {
            Found::Value(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// Whether something below what stands at `pointer` is hidden.
    pub(super) fn hidden_within(&self, pointer: &str) -> bool {
        let wanted = segments(pointer);
        self.hidden.iter().any(|hidden| hidden.len() > wanted.len() && matches(&wanted, hidden))
    }

    /// The input as it may be kept: without what the replica masked, and with secrets hidden.
    pub(super) fn shown(&self) -> CanonicalJson {
        if self.hidden.is_empty() {
            return mask::shown(self.value);
        }
        let mut shown = self.value.clone();
        for pointer in &self.hidden {
            remove(&mut shown, pointer);
        }
        mask::shown(&shown)
    }
}

fn segments(pointer: &str) -> Vec<String> {
    let unescape = |segment: &str| segment.replace("~1", "/").replace("~0", "~");
    pointer.split('/').skip(1).map(unescape).collect()
}

/// Whether `prefix` leads to `path`; both may hold `*`.
fn matches(prefix: &[String], path: &[String]) -> bool {
    prefix.iter().zip(path).all(|(one, other)| one == other || one == "*" || other == "*")
}

fn remove(value: &mut Value, pointer: &[String]) {
    let Some((first, rest)) = pointer.split_first() else {
        *value = Value::Null;
        return;
    };
    match value {
        Value::Object(members) if rest.is_empty() && first == "*" => members.clear(),
        Value::Object(members) if rest.is_empty() => {
            members.remove(first);
        }
        Value::Object(members) => {
            let chosen = members.iter_mut().filter(|(name, _)| first == "*" || *name == first);
            chosen.for_each(|(_, member)| remove(member, rest));
        }
        Value::Array(items) => {
            let chosen = items.iter_mut().enumerate().filter(|(index, _)| first == "*" || *first == index.to_string());
            chosen.for_each(|(_, item)| remove(item, rest));
        }
        _ => {}
    }
}
