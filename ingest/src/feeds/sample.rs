//! What the tests of feeds share: one record in, its events out.

use keywatch_store::Event;
use keywatch_store::event::Origin;
use serde_json::Value;

use super::table::Table;
use crate::{Context, Feed, Reading};

/// What a feed makes of a body.
pub(crate) fn read(table: &Table, body: &[u8]) -> Reading {
    let origin = Origin { system: "cold".into(), source: table.name.into() };
    table.read(&Context { origin: &origin, inventory: None }, body)
}

/// The events of a record that is understood.
pub(crate) fn events(table: &Table, record: &Value) -> Vec<Event> {
    let reading = read(table, record.to_string().as_bytes());
    assert_eq!(reading.rejects, [], "{record}");
    reading.events
}

/// The only event of a record.
pub(crate) fn one(table: &Table, record: &Value) -> Event {
    let mut events = events(table, record);
    assert_eq!(events.len(), 1, "{record}");
    events.remove(0)
}

/// The feed's example with some members replaced, by dotted path; null takes one out.
pub(crate) fn example_with(table: &Table, changes: &[(&str, Value)]) -> Value {
    let mut record: Value = serde_json::from_str(table.example).unwrap();
    for (path, value) in changes {
        set(&mut record, path, value);
    }
    record
}

/// The only event of the example with some members replaced.
pub(crate) fn changed(table: &Table, changes: &[(&str, Value)]) -> Event {
    one(table, &example_with(table, changes))
}

/// The field for which the example with some members replaced is rejected.
pub(crate) fn rejected(table: &Table, changes: &[(&str, Value)]) -> String {
    let reading = read(table, example_with(table, changes).to_string().as_bytes());
    assert_eq!(reading.events, [], "{changes:?}");
    reading.rejects.first().map(|reject| reject.field.clone()).unwrap_or_default()
}

fn set(record: &mut Value, path: &str, value: &Value) {
    if value.is_null() {
        take_out(record, path);
        return;
    }
    let pointer = format!("/{}", path.replace('.', "/"));
    if let Some(found) = record.pointer_mut(&pointer) {
        *found = value.clone();
        return;
    }
    match path.split_once('.') {
        Some((name, rest)) => set(&mut record[name], rest, value),
        None => record[path] = value.clone(),
    }
}

fn take_out(record: &mut Value, path: &str) {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let pointer = if parent.is_empty() { String::new() } else { format!("/{}", parent.replace('.', "/")) };
    let members = record.pointer_mut(&pointer).and_then(Value::as_object_mut);
    if let Some(members) = members {
        members.remove(name);
    }
}

#[test]
fn null_takes_a_member_out() {
    let mut record = serde_json::json!({"a": {"b": 1, "c": 2}, "d": 3});
    for path in ["a.b", "d", "a.x", "x.y"] {
        set(&mut record, path, &Value::Null);
    }
    assert_eq!(record, serde_json::json!({"a": {"c": 2}}));
}
