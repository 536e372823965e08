//! Where the rows of a table stand by their names, so that one is found without going through all of them. Knows no table.

use std::collections::HashMap;
use std::sync::OnceLock;

/// Where rows stand by their names in lower case; made when it is first asked for. It says nothing about what is declared: any
/// two are equal, none is written, and a copy makes its own.
#[derive(Debug, Default)]
pub struct ByName(OnceLock<HashMap<String, usize>>);

impl Clone for ByName {
    fn clone(&self) -> ByName {
        ByName::default()
    }
}

impl PartialEq for ByName {
    fn eq(&self, _: &ByName) -> bool {
        true
    }
}

impl Eq for ByName {}

impl ByName {
    /// The place of the first row of that name, whatever the case of its letters. Once it was asked for, the names are those
    /// of then.
    pub(super) fn place<'a>(&self, name: &str, names: impl Iterator<Item = &'a str>) -> Option<usize> {
        let places = self.0.get_or_init(|| {
            let mut places = HashMap::new();
            for (place, name) in names.enumerate() {
                places.entry(name.to_ascii_lowercase()).or_insert(place);
            }
            places
        });
        places.get(&name.to_ascii_lowercase()).copied()
    }
}
