//! What of a finding joins an incident and may page again: its wallet, destination and session; and how much it is about.

use keywatch_store::{Amount, Finding};
use serde::{Deserialize, Serialize};

/// What may join an incident and page again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Member {
    /// A wallet.
    Wallet,
    /// A destination.
    Destination,
    /// A session.
    Session,
}

/// What of the finding may join an incident.
pub(crate) fn members(finding: &Finding) -> impl Iterator<Item = (Member, String)> {
    let named = [
        (Member::Wallet, &finding.wallet),
        (Member::Destination, &finding.to_address),
        (Member::Session, &finding.session),
    ];
    named.into_iter().filter_map(|(member, name)| Some((member, name.clone()?)))
}

/// The finding's amount as far as the column holds it.
pub(crate) fn amount(finding: &Finding) -> Option<i128> {
    let digits = finding.amount.as_deref()?;
    Amount::from_digits(digits).ok().map(|amount| amount.saturated())
}
