//! A rule: one SQL file with front matter, and the events that it fires and stays quiet on.

mod coverage;
mod draft;
mod duration;
mod file;
mod header;
mod pack;
mod parameters;
mod views;

pub use coverage::{Coverage, Need, Observed, ObservedSystems, Visibility, coverage, missing_links};
pub use draft::{Draft, inspect};
pub use header::{Header, Parameter, ParameterKind, Value};
pub use pack::{files, load, load_drafts, load_one, shipped};
pub use parameters::Settings;
pub use views::{View, ViewHeader, views};

use keywatch_store::Event;

/// A rule as written, not yet planned.
#[derive(Clone, Debug)]
pub struct Rule {
    /// `family/name`, from its path.
    pub id: String,
    /// The front matter.
    pub header: Header,
    /// The SELECT, parameters not yet filled in.
    pub sql: String,
    /// Events on which it must fire, in the order of the log.
    pub fires: Vec<Event>,
    /// Events on which it must stay quiet.
    pub quiet: Vec<Event>,
}

impl Rule {
    /// A rule from the text of its `.sql` file alone, with no events beside it: for a query tried out, not for a pack.
    ///
    /// # Errors
    /// [`crate::Error::FrontMatter`] naming the field at fault.
    pub fn parse(id: &str, text: &str) -> Result<Rule, crate::Error> {
        let (header, sql) = file::split(id, text)?;
        Ok(Rule { id: id.to_owned(), header, sql, fires: Vec::new(), quiet: Vec::new() })
    }
}
