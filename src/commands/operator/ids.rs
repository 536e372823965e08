//! Ids by their beginnings: of an alert or incident that people have before their eyes, nobody types 32 digits.

use std::collections::BTreeSet;

use anyhow::{bail, ensure};

use super::client::Server;
use super::tables::{items, text};
use crate::limits::API_LIST_MAX;

/// Hexadecimal digits of an id.
const ID_DIGITS: usize = 32;

/// Digits from which on the beginning of one is taken for it.
const BEGINNING_DIGITS_MIN: usize = 4;

/// The id of the one alert or incident that begins so; what is no beginning of an id, or none of any that is listed, as it is.
///
/// # Errors
/// Several begin so, there are too many to tell, or keywatch cannot be asked.
pub(super) fn whole(server: &Server, id: &str) -> anyhow::Result<String> {
    let Some(begun) = beginning(id) else { return Ok(id.to_owned()) };
    let mut found = BTreeSet::new();
    for list in ["incidents", "alerts"] {
        let answer = server.get(&[list], &[("limit", Some(API_LIST_MAX.to_string()))])?;
        let listed = items(&answer[list]);
        let total = answer["total"].as_u64().unwrap_or_default();
        ensure!(total <= listed.len() as u64, "`{id}`: there are {total} {list}; write the whole id");
        found.extend(listed.iter().map(|one| text(one, "id")).filter(|known| known.starts_with(&begun)));
    }
    the_one(&begun, found)
}

/// The digits of what may be the beginning of an id.
fn beginning(id: &str) -> Option<String> {
    let digits = id.trim_end_matches('…');
    let is_one = (BEGINNING_DIGITS_MIN..ID_DIGITS).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_one.then(|| digits.to_lowercase())
}

fn the_one(begun: &str, found: BTreeSet<String>) -> anyhow::Result<String> {
    if found.len() > 1 {
        let several: Vec<String> = found.into_iter().collect();
        bail!("`{begun}` begins several ids: {}", several.join(", "));
    }
    Ok(found.into_iter().next().unwrap_or_else(|| begun.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_an_id_is_the_id_of_the_only_one_that_begins_so() {
        assert_eq!(beginning("4F0c…").as_deref(), Some("4f0c"));
        for no in ["4f0", "nothing", "", "4f0c4f0c4f0c4f0c4f0c4f0c4f0c4f0c"] {
            assert_eq!(beginning(no), None, "{no}");
        }
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<String>>();
        assert_eq!(the_one("4f0c", ids(&["4f0caa"])).unwrap(), "4f0caa");
        assert_eq!(the_one("4f0c", ids(&[])).unwrap(), "4f0c", "keywatch says that there is none");
        let several = the_one("4f0c", ids(&["4f0caa", "4f0cbb"])).unwrap_err().to_string();
        assert!(several.contains("4f0caa, 4f0cbb"), "{several}");
    }
}
