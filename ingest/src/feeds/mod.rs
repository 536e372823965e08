//! The feeds, by name: foreign formats, each a pure function from a body to events and rejects.
//!
//! | module | what it holds |
//! |---|---|
//! | [`feed`] | the shape of a feed |
//! | [`safe`], [`opa`], [`events`] | one feed each |
//! | `read`, `json`, `fields` | what feeds share: the records of a body one by one; JSON that is read in one way only; typed access to the members of an object |
//!
//! A new feed is a module here and an entry of [`ALL`]. This part knows formats, and neither rules nor storage nor sockets.

pub mod events;
pub mod feed;
mod fields;
mod json;
pub mod opa;
mod read;
pub mod safe;

use crate::{Error, Feed};

/// Every feed, each as it is configured out of the box.
pub const ALL: [&dyn Feed; 3] = [&safe::Safe, &opa::Opa::STANDARD, &events::Events];

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
        assert!(find("okta").err().unwrap().to_string().contains("safe, opa, events"));
    }
}
