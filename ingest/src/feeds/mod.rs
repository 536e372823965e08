//! The feeds, by name: foreign formats, each a pure function from a body to events and rejects.
//!
//! | module | what it holds |
//! |---|---|
//! | [`feed`] | the shape of a feed |
//! | [`table`] | a feed that is mostly a table, and the page that is made of it |
//! | [`safe`], [`opa`], [`events`] | feeds that are code |
//! | [`mapping`] | feeds of an operator's own, each a table that is read from a file |
//! | all others | a table each, with an example, records as they come and the events they become beside it |
//! | `read`, `json`, `fields`, `dollars` | what feeds share: the records of a body one by one; JSON that is read in one way only; typed access to the members of an object; dollars as cents |
//!
//! A new feed is a module here and an entry of [`TABLES`], or of [`CODE`] where it is no table. This part knows formats,
//! and neither rules nor storage nor sockets.

pub mod authzen;
pub mod azure;
pub mod bitgo;
pub mod cerbos;
pub mod cloudtrail;
pub mod custody;
mod dollars;
pub mod entra;
pub mod envoy;
pub mod events;
pub mod feed;
mod fields;
pub mod fireblocks;
pub mod fleet;
pub mod gcp_audit;
pub mod github_oidc;
pub mod jamf;
pub(crate) mod json;
pub mod kolide;
pub mod mapping;
pub mod mpc;
pub mod okta;
pub mod opa;
pub mod opa_status;
pub mod osquery;
mod read;
pub mod safe;
#[cfg(test)]
mod sample;
pub mod secret_scanner;
pub mod sigstore;
pub mod ssf;
pub mod table;
pub mod tailscale;
pub mod teleport;
pub mod vault;
pub mod vpc_flow;
pub mod web3signer;

pub(crate) use json::parse as strict_json;
use table::Table;

use crate::{Error, Feed};

/// The feeds that are code, each as it is configured out of the box.
pub static CODE: [&dyn Feed; 3] = [&safe::Safe, &opa::Opa::STANDARD, &events::Events];

/// The feeds that are tables.
pub static TABLES: [&Table; 26] = [
    &authzen::AUTHZEN,
    &azure::AZURE,
    &bitgo::BITGO,
    &cerbos::CERBOS,
    &cloudtrail::CLOUDTRAIL,
    &custody::CUSTODY,
    &entra::ENTRA,
    &envoy::ENVOY,
    &fireblocks::FIREBLOCKS,
    &fleet::FLEET,
    &gcp_audit::GCP_AUDIT,
    &github_oidc::GITHUB_OIDC,
    &jamf::JAMF,
    &kolide::KOLIDE,
    &mpc::MPC,
    &okta::OKTA,
    &opa_status::OPA_STATUS,
    &osquery::OSQUERY,
    &secret_scanner::SECRET_SCANNER,
    &sigstore::SIGSTORE,
    &ssf::SSF,
    &tailscale::TAILSCALE,
    &teleport::TELEPORT,
    &vault::VAULT,
    &vpc_flow::VPC_FLOW,
    &web3signer::WEB3SIGNER,
];

/// Every feed.
pub fn all() -> impl Iterator<Item = &'static dyn Feed> {
    CODE.into_iter().chain(TABLES.into_iter().map(|table| -> &'static dyn Feed { table }))
}

/// Looks a feed up by name.
///
/// # Errors
/// [`Error::UnknownFeed`], which lists the names there are.
pub fn find(name: &str) -> Result<&'static dyn Feed, Error> {
    all().find(|feed| feed.name() == name).ok_or_else(|| Error::UnknownFeed {
        name: name.chars().take(64).collect(),
        known: all().map(Feed::name).collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests {
    use keywatch_store::kinds::{self, Writer};

    use super::*;

    #[test]
    fn every_feed_makes_what_a_source_may_write() {
        for feed in all() {
            let makes = feed.makes();
            let may = |kind: &&str| kinds::find(kind).is_some_and(|kind| kind.writer == Writer::Source);
            assert!(!makes.is_empty() && makes.iter().all(may), "{}: {makes:?}", feed.name());
        }
        let needed = find("events").unwrap().makes();
        assert!(all().all(|feed| feed.makes().is_subset(&needed)), "keywatch's own lines say everything");
    }

    #[test]
    fn every_feed_is_found_by_its_name() {
        let mut names: Vec<&str> = all().map(Feed::name).collect();
        for name in &names {
            assert_eq!(find(name).unwrap().name(), *name);
        }
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        assert!(find("nonsense").err().unwrap().to_string().contains("safe, opa, events"));
    }
}
