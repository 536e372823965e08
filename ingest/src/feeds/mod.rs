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

pub mod authzen;
pub mod azure;
pub mod cerbos;
pub mod cloudtrail;
pub mod entra;
pub mod envoy;
pub mod events;
pub mod feed;
mod fields;
pub mod fireblocks;
pub mod fleet;
pub mod gcp_audit;
pub mod jamf;
mod json;
pub mod kolide;
pub mod mpc;
pub mod okta;
pub mod opa;
pub mod opa_status;
pub mod osquery;
mod read;
pub mod safe;
#[cfg(test)]
mod sample;
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

/// Every feed, each as it is configured out of the box.
pub static ALL: [&dyn Feed; 24] = [
    &safe::Safe,
    &opa::Opa::STANDARD,
    &events::Events,
    &authzen::AUTHZEN,
    &azure::AZURE,
    &cerbos::CERBOS,
    &cloudtrail::CLOUDTRAIL,
    &entra::ENTRA,
    &envoy::ENVOY,
    &fireblocks::FIREBLOCKS,
    &fleet::FLEET,
    &gcp_audit::GCP_AUDIT,
    &jamf::JAMF,
    &kolide::KOLIDE,
    &mpc::MPC,
    &okta::OKTA,
    &opa_status::OPA_STATUS,
    &osquery::OSQUERY,
    &ssf::SSF,
    &tailscale::TAILSCALE,
    &teleport::TELEPORT,
    &vault::VAULT,
    &vpc_flow::VPC_FLOW,
    &web3signer::WEB3SIGNER,
];

/// The feeds that are tables.
pub static TABLES: [&Table; 21] = [
    &authzen::AUTHZEN,
    &azure::AZURE,
    &cerbos::CERBOS,
    &cloudtrail::CLOUDTRAIL,
    &entra::ENTRA,
    &envoy::ENVOY,
    &fireblocks::FIREBLOCKS,
    &fleet::FLEET,
    &gcp_audit::GCP_AUDIT,
    &jamf::JAMF,
    &kolide::KOLIDE,
    &mpc::MPC,
    &okta::OKTA,
    &opa_status::OPA_STATUS,
    &osquery::OSQUERY,
    &ssf::SSF,
    &tailscale::TAILSCALE,
    &teleport::TELEPORT,
    &vault::VAULT,
    &vpc_flow::VPC_FLOW,
    &web3signer::WEB3SIGNER,
];

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
