//! Records that hold several: a list whose items become records of their own, each with what the list stood beside.
//!
//! It knows one record. What all records of a body become together is counted where bodies are read.

use serde_json::Value;

use super::path;
use crate::feeds::fields::with_article;
use crate::{Problem, limits};

/// A record for each item of the list at `list`, with the item under `part` and its place under `part_number`; a record
/// without the list as it is.
///
/// # Errors
/// The list is none, has more items than are accepted, or would repeat too much.
pub(crate) fn of_list(record: &Value, list: &str, part: &str) -> Result<Vec<Value>, Problem> {
    let Some(found) = path::find(record, list) else { return Ok(vec![record.clone()]) };
    let wrong = || Problem::new(list, format!("must be an array, is {}", with_article(found)));
    let items = found.as_array().ok_or_else(wrong)?;
    let mut shared = record.clone();
    remove(&mut shared, list);
    within_limits(list, items.len(), &shared)?;
    let numbered = items.iter().enumerate().map(|(number, item)| {
        let mut record = shared.clone();
        record[part] = item.clone();
        record["part_number"] = Value::from(number);
        record
    });
    Ok(numbered.collect())
}

/// The records that an envelope holds at `path`, as an array or as the only one; what is no envelope is a record itself.
pub(crate) fn unwrapped(record: Value, path: &str) -> Vec<Value> {
    match path::find(&record, path) {
        Some(Value::Array(items)) => items.clone(),
        Some(inner @ Value::Object(_)) => vec![inner.clone()],
        _ => vec![record],
    }
}

/// That so many parts may repeat what they share.
///
/// # Errors
/// They may not.
pub(crate) fn within_limits(list: &str, parts: usize, shared: &Value) -> Result<(), Problem> {
    if parts > limits::PARTS_MAX {
        return Err(Problem::new(list, format!("{parts} items, at most {}", limits::PARTS_MAX)));
    }
    let bytes = parts.saturating_mul(shared.to_string().len());
    if bytes > limits::PARTS_BYTES_MAX {
        let reason =
            format!("its items would repeat {bytes} bytes of what they share, at most {}", limits::PARTS_BYTES_MAX);
        return Err(Problem::new(list, reason));
    }
    Ok(())
}

/// Takes what stands at a path of names out of a record.
pub(crate) fn remove(record: &mut Value, dotted: &str) {
    match dotted.split_once('.') {
        Some((name, rest)) => {
            if let Some(inner) = record.get_mut(name) {
                remove(inner, rest);
            }
        }
        None => {
            if let Some(members) = record.as_object_mut() {
                members.remove(dotted);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_item_has_what_the_list_stood_beside() {
        let record = json!({"host": "h", "data": {"rows": [{"a": 1}, {"a": 2}], "x": 1}});
        let parts = of_list(&record, "data.rows", "row").unwrap();
        assert_eq!(parts[1], json!({"host": "h", "data": {"x": 1}, "row": {"a": 2}, "part_number": 1}));
        assert_eq!(of_list(&record, "data.none", "row").unwrap(), vec![record]);
    }

    #[test]
    fn p7_a_list_cannot_make_much_of_little() {
        let many = json!({"rows": vec![0; limits::PARTS_MAX + 1]});
        assert!(of_list(&many, "rows", "row").unwrap_err().reason.contains("at most"));
        let heavy = json!({"host": "h".repeat(100_000), "rows": vec![0; 100]});
        assert!(of_list(&heavy, "rows", "row").unwrap_err().reason.contains("repeat"));
        assert!(of_list(&json!({"rows": "x"}), "rows", "row").unwrap_err().reason.contains("must be an array"));
    }
}
