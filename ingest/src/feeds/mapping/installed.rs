//! The feeds of one installation: those built in, those of its mapping files, and the one that verifies Sigstore's bundles
//! against whom it trusts. It knows names and no formats.

use std::fmt;

use super::{Mapping, Refused};
use crate::feeds::sigstore::verifying::Verifying;
use crate::feeds::{self, table::Table};
use crate::{Error, Feed, limits};

/// The feeds of one installation.
#[derive(Clone, Default)]
pub struct Installed {
    mapped: Vec<&'static Table>,
    sigstore: Option<&'static Verifying>,
}

impl Installed {
    /// Adds the feed of a mapping file.
    ///
    /// # Errors
    /// Its name is taken, or there are too many.
    pub fn add(&mut self, mapping: Mapping) -> Result<(), Refused> {
        let name = mapping.name();
        let refused = |reason: String| Refused { problems: vec![format!("name: `{name}` {reason}")] };
        if self.mapped.len() >= limits::MAPPINGS_MAX {
            return Err(refused(format!("is one mapping too many, at most {}", limits::MAPPINGS_MAX)));
        }
        if self.find(name).is_ok() {
            return Err(refused("is the name of another mapping file's feed; choose another".to_owned()));
        }
        self.mapped.push(mapping.into_feed());
        Ok(())
    }

    /// Puts a feed that verifies bundles in the place of `sigstore`.
    pub fn verify(&mut self, feed: Verifying) {
        self.sigstore = Some(feed.into_feed());
    }

    /// Looks a feed up by name.
    ///
    /// # Errors
    /// [`Error::UnknownFeed`], which lists the names there are.
    pub fn find(&self, name: &str) -> Result<&'static dyn Feed, Error> {
        if let Some(table) = self.mapped.iter().find(|table| table.name == name) {
            return Ok(*table);
        }
        if let Some(verifying) = self.sigstore.filter(|verifying| verifying.name() == name) {
            return Ok(verifying);
        }
        feeds::find(name).map_err(|error| match error {
            Error::UnknownFeed { name, known } => {
                let known = self.mapped.iter().fold(known, |known, table| format!("{known}, {}", table.name));
                Error::UnknownFeed { name, known }
            }
            other => other,
        })
    }
}

impl fmt::Debug for Installed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.mapped.iter().map(|table| table.name)).finish()
    }
}

/// A name stands for one feed, since a name can be added once; `sigstore` for whom it trusts too.
impl PartialEq for Installed {
    fn eq(&self, other: &Installed) -> bool {
        let names = |feeds: &Installed| feeds.mapped.iter().map(|table| table.name).collect::<Vec<_>>();
        names(self) == names(other) && self.sigstore == other.sigstore
    }
}

impl Eq for Installed {}
