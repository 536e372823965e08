//! Names under which a client has statements and portals, and how much stands under them: a driver that names each anew and closes
//! none would otherwise fill the memory. What a statement takes is counted where it is planned; here only names are.

use std::collections::{BTreeMap, BTreeSet};

use pgwire::error::PgWireResult;

use super::errors::error;
use crate::limits::{SQL_NAME_BYTES_MAX, SQL_PORTAL_BYTES_MAX, SQL_PORTALS_MAX, SQL_STATEMENTS_MAX};

/// What one client has.
#[derive(Debug, Default)]
pub(super) struct Opened {
    statements: BTreeSet<String>,
    /// Bytes of the parameters that are bound in each.
    portals: BTreeMap<String, usize>,
}

impl Opened {
    /// Whether a statement of that name has room. One of a name that there is takes its place.
    ///
    /// # Errors
    /// What the client is told.
    pub(super) fn check_statement(&self, name: &str) -> PgWireResult<()> {
        check_name(name)?;
        if !self.statements.contains(name) && self.statements.len() >= SQL_STATEMENTS_MAX {
            return Err(error(
                "53400",
                format!("{SQL_STATEMENTS_MAX} statements are prepared already; close some first"),
            ));
        }
        Ok(())
    }

    /// It was prepared.
    pub(super) fn prepared(&mut self, name: String) {
        self.statements.insert(name);
    }

    /// A portal of that name is opened, with parameters of so many bytes.
    ///
    /// # Errors
    /// What the client is told; then it is not opened.
    pub(super) fn open(&mut self, name: &str, bytes: usize) -> PgWireResult<()> {
        check_name(name)?;
        let others = self.portals.iter().filter(|(other, _)| other.as_str() != name);
        let (count, all) = others.fold((0, bytes), |(count, all), (_, bytes)| (count + 1, all.saturating_add(*bytes)));
        if count >= SQL_PORTALS_MAX {
            return Err(error("53400", format!("{SQL_PORTALS_MAX} portals are open already; close some first")));
        }
        if all > SQL_PORTAL_BYTES_MAX {
            let problem =
                format!("parameters of {all} bytes in open portals, at most {SQL_PORTAL_BYTES_MAX} are taken");
            return Err(error("53400", problem));
        }
        self.portals.insert(name.to_owned(), bytes);
        Ok(())
    }

    /// All statements are closed; their names.
    pub(super) fn close_statements(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.statements)
    }

    /// A statement was closed.
    pub(super) fn close_statement(&mut self, name: &str) {
        self.statements.remove(name);
    }

    /// A portal was closed.
    pub(super) fn close_portal(&mut self, name: &str) {
        self.portals.remove(name);
    }

    /// All portals were closed.
    pub(super) fn close_portals(&mut self) {
        self.portals.clear();
    }
}

fn check_name(name: &str) -> PgWireResult<()> {
    if name.len() > SQL_NAME_BYTES_MAX {
        return Err(error("42622", format!("a name of {} bytes, at most {SQL_NAME_BYTES_MAX} are taken", name.len())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p7_a_client_has_so_many_statements_and_portals_and_room_again_once_some_are_closed() {
        let mut opened = Opened::default();
        for number in 0..SQL_STATEMENTS_MAX {
            let name = format!("s{number}");
            opened.check_statement(&name).unwrap();
            opened.prepared(name);
        }
        assert!(opened.check_statement("one more").is_err() && opened.check_statement("s0").is_ok());
        opened.close_statement("s1");
        assert!(opened.check_statement("one more").is_ok());
        assert_eq!(opened.close_statements().len(), SQL_STATEMENTS_MAX - 1);
        assert!(opened.close_statements().is_empty());

        (0..SQL_PORTALS_MAX).for_each(|number| opened.open(&format!("p{number}"), 1).unwrap());
        assert!(opened.open("one more", 1).is_err() && opened.open("p0", 1).is_ok());
        opened.close_portal("p1");
        assert!(opened.open("one more", 1).is_ok());
        opened.close_portals();
        assert!(opened.open("wide", SQL_PORTAL_BYTES_MAX).is_ok() && opened.open("another", 1).is_err());
        assert!(opened.open("wide", SQL_PORTAL_BYTES_MAX).is_ok(), "it takes its own place");
        assert!(opened.open("wide", SQL_PORTAL_BYTES_MAX + 1).is_err());
    }

    #[test]
    fn a_name_is_no_place_for_more() {
        let mut opened = Opened::default();
        let long = "n".repeat(SQL_NAME_BYTES_MAX + 1);
        assert!(opened.check_statement(&long).is_err() && opened.open(&long, 0).is_err());
        assert!(opened.check_statement(&long[1..]).is_ok() && opened.open(&long[1..], 0).is_ok());
    }
}
