//! The feeds, by name: foreign formats, each a pure function from a body to events and rejects.
//!
//! | module | what it holds |
//! |---|---|
//! | [`feed`] | the shape of a feed |
//! | [`table`] | a feed that is mostly a table, and the page that is made of it |
//! | [`safe`], [`opa`], [`events`] | feeds that are code |
//! | all others | a table each, with an example, records as they come and the events they become beside it |
//! | `read`, `json`, `fields` | what feeds share: the records of a body one by one; JSON that is read in one way only; typed access to the members of an object |
//!
//! A new feed is a module here and an entry of [`ALL`], a table one of [`TABLES`] too. This part knows formats, and neither rules nor storage nor sockets.

pub mod azure;
pub mod events;
pub mod feed;
mod fields;
pub mod fleet;
pub mod jamf;
mod json;
pub mod kolide;
pub mod mpc;
pub mod opa;
mod read;
pub mod safe;
#[cfg(test)]
mod sample;
pub mod table;
pub mod vpc_flow;

pub(crate) use json::parse as strict_json;
use table::Table;

use crate::{Error, Feed};

/// Every feed, each as it is configured out of the box.
pub static ALL: [&dyn Feed; 9] = [
    &safe::Safe,
    &opa::Opa::STANDARD,
    &events::Events,
    &azure::AZURE,
    &fleet::FLEET,
    &jamf::JAMF,
    &kolide::KOLIDE,
    &mpc::MPC,
    &vpc_flow::VPC_FLOW,
];

/// The feeds that are tables.
pub static TABLES: [&Table; 6] =
    [&azure::AZURE, &fleet::FLEET, &jamf::JAMF, &kolide::KOLIDE, &mpc::MPC, &vpc_flow::VPC_FLOW];

/// Looks a feed up by name.
///
/// # Errors
/// [`Error::UnknownFeed`], which lists the names there are.
pub fn find(name: &str) -> Result<&'static dyn Feed, Error> {
    let found = ALL.into_iter().find(|feed| feed.name() == name);
    found.ok_or_else(|| Error::UnknownFeed {
        name: name.chars().take(64).collect(),
        known: ALL.map(Feed::name).join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feed_is_found_by_its_name() {
        for feed in ALL {
            assert_eq!(find(feed.name()).unwrap().name(), feed.name());
        }
        assert!(find("nonsense").err().unwrap().to_string().contains("safe, opa, events"));
        for table in TABLES {
            assert!(ALL.iter().any(|feed| feed.name() == table.name), "{}", table.name);
        }
    }
}
