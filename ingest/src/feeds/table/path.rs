//! Paths into a record: `client.ipAddress`; `ip | client.ip`, the first that is there; `target.0.id`; `'addr.remote'` for
//! a name with dots in it; `target[type=User].id` for the first item of an array whose member has that value.
//!
//! It does not say why a path leads nowhere: a member that is absent, null or empty, and one within something that has no
//! members, are alike. A name with `'`, `[` or ` | ` in it cannot be written.

use serde_json::Value;

/// The path of an identity that is a hash of the record itself.
pub(crate) const RECORD_HASH: &str = "#";

/// What stands at the first of the paths that leads somewhere; null, an empty text and the dash of log formats are
/// nothing.
pub(crate) fn find<'a>(record: &'a Value, paths: &str) -> Option<&'a Value> {
    let mut rest = paths;
    // Alternatives often begin alike.
    let mut begun: Option<(&str, Option<&Value>)> = None;
    loop {
        let (path, others) = alternative(rest);
        let (segment, inner) = split(path);
        let first = match begun {
            Some((before, first)) if before == segment => first,
            _ => step(record, segment),
        };
        begun = Some((segment, first));
        let found = first.and_then(|first| within(first, inner));
        if found.is_some() {
            return found;
        }
        rest = others?;
    }
}

/// The first of alternatives, and the others. The bar is looked for alone: what searches for three signs takes longer to make
/// than a path to read.
fn alternative(paths: &str) -> (&str, Option<&str>) {
    let mut from = 0;
    while let Some(bar) = paths[from..].find('|').map(|at| from + at) {
        if let (Some(path), Some(others)) = (paths[..bar].strip_suffix(' '), paths[bar + 1..].strip_prefix(' ')) {
            return (path, Some(others));
        }
        from = bar + 1;
    }
    (paths, None)
}

fn within<'a>(value: &'a Value, path: Option<&str>) -> Option<&'a Value> {
    let Some(path) = path else { return Some(value).filter(|found| !is_nothing(found)) };
    let (segment, rest) = split(path);
    within(step(value, segment)?, rest)
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.is_empty() || text == "-")
}

/// The first segment, and what is left.
fn split(path: &str) -> (&str, Option<&str>) {
    let end = match path.strip_prefix('\'') {
        Some(quoted) => quoted.find('\'').map_or(path.len(), |end| end + 2),
        None => path.bytes().position(|byte| matches!(byte, b'.' | b'[')).unwrap_or(path.len()),
    };
    let (segment, rest) = path.split_at(end);
    if let Some(filtered) = rest.strip_prefix('[') {
        let close = filtered.find(']').map_or(rest.len(), |close| close + 2);
        let (_, after) = rest.split_at(close);
        return (&path[..end + close], after.strip_prefix('.'));
    }
    (segment, rest.strip_prefix('.'))
}

fn step<'a>(value: &'a Value, segment: &str) -> Option<&'a Value> {
    if let Some((name, filter)) = segment.split_once('[') {
        let (member, wanted) = filter.trim_end_matches(']').split_once('=')?;
        let items = step(value, name)?.as_array()?;
        return items.iter().find(|item| item.get(member).and_then(Value::as_str) == Some(wanted));
    }
    match value {
        Value::Object(members) => members.get(segment.trim_matches('\'')),
        Value::Array(items) => items.get(segment.parse::<usize>().ok()?),
        _ => None,
    }
}

/// That a path can be read, and leads somewhere in some record.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(paths: &str) -> Result<(), String> {
    if paths.contains('|') && paths.split(" | ").any(|path| path.contains('|')) {
        return Err("alternatives are written ` | `, with a space on both sides".to_owned());
    }
    paths.split(" | ").try_for_each(check_one)
}

fn check_one(path: &str) -> Result<(), String> {
    if path != path.trim() {
        return Err("begins or ends with a space".to_owned());
    }
    let mut rest = Some(path);
    while let Some(path) = rest {
        let (segment, after) = split(path);
        let name = segment.split_once('[').map_or(segment, |(name, _)| name);
        let quoted = name.len() > 2 && name.starts_with('\'') && name.ends_with('\'');
        if name.is_empty() || (name.contains('\'') && !quoted) {
            return Err("has a name that is empty, or a `'` without its other".to_owned());
        }
        if let Some((_, filter)) = segment.split_once('[') {
            let member = filter.strip_suffix(']').and_then(|filter| filter.split_once('='));
            if member.is_none_or(|(member, wanted)| member.is_empty() || wanted.contains(['[', ']'])) {
                return Err("has a `[` that is not `[member=value]`".to_owned());
            }
        }
        if after.is_none() && segment.len() < path.len() {
            return Err("goes on after a name or `]` without a dot".to_owned());
        }
        rest = after;
    }
    Ok(())
}

/// Whether a word fits a pattern, in which `*` stands for anything.
pub(crate) fn matches(pattern: &str, word: &str) -> bool {
    let Some((first, others)) = pattern.split_once('*') else { return pattern == word };
    let Some(mut rest) = word.strip_prefix(first) else { return false };
    let mut pieces = others.split('*');
    let last = pieces.next_back().unwrap_or_default();
    for piece in pieces {
        let Some(found) = rest.find(piece) else { return false };
        rest = &rest[found + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_to_what_stands_there() {
        let record = json!({
            "a": {"b": {"c": 1}}, "addr.remote": "x", "list": [{"type": "Group", "id": 1}, {"type": "User", "id": 2}],
            "nothing": null, "empty": "", "dash": "-", "false": false, "b|ar": 3,
        });
        for (path, found) in [
            ("a.b.c", Some(json!(1))),
            ("a.x | a.b.c", Some(json!(1))),
            ("'addr.remote'", Some(json!("x"))),
            ("addr.remote", None),
            ("list.1.id", Some(json!(2))),
            ("list[type=User].id", Some(json!(2))),
            ("list[type=App].id", None),
            ("list.id", None),
            ("nothing | empty | dash", None),
            ("a.x | a.b.x | a.b.c", Some(json!(1))),
            ("b|ar", Some(json!(3))),
            ("a.x | b|ar", Some(json!(3))),
            ("false", Some(json!(false))),
            ("a.b.c.d", None),
        ] {
            assert_eq!(find(&record, path).cloned(), found, "{path}");
        }
    }

    #[test]
    fn a_path_that_leads_nowhere_in_any_record_is_refused() {
        for path in [
            "a.b.c",
            "a | b",
            "'addr.remote'",
            "'a.b'.c",
            "list.1.id",
            "list[type=User].id",
            "'l.x'[a=b]",
            "@timestamp",
        ] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
        for path in [
            "", "a.", ".a", "a..b", "'a", "''", "a'b", "l[a", "l[a].b", "l[=x]", "l[a=b]c", "'a'b", "a|b", "a | ",
            " a", "a |  b",
        ] {
            assert!(check(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, word, fits) in [
            ("a.*", "a.b", true),
            ("a.*", "b.a.b", false),
            ("*.z", "a.z", true),
            ("a*a", "a", false),
            ("*", "", true),
            ("*b*", "abc", true),
            ("*b*", "ac", false),
            ("a*b*a", "aba", true),
            ("a*b*a", "aa", false),
            ("*aa*aa", "aaa", false),
            ("a/*/b/*", "a/x/b/y", true),
            ("a", "ab", false),
        ] {
            assert_eq!(matches(pattern, word), fits, "{pattern} {word}");
        }
    }
}
