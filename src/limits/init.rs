//! Limits of an inventory that is proposed.

/// Systems that are proposed.
pub(crate) const INIT_SYSTEMS_MAX: usize = 64;

/// Sources that a system is proposed with.
pub(crate) const INIT_SOURCES_MAX: usize = 256;

/// Wallets that a system is proposed with.
pub(crate) const INIT_WALLETS_MAX: usize = 2_000;

/// People that a system is proposed with.
pub(crate) const INIT_PEOPLE_MAX: usize = 5_000;

/// Destinations of a system that are counted.
pub(crate) const INIT_DESTINATIONS_MAX: usize = 100_000;

/// Destinations that a system is proposed with, the most frequent first.
pub(crate) const INIT_DESTINATIONS_SHOWN_MAX: usize = 200;

/// Owners of a wallet that are counted.
pub(crate) const INIT_OWNERS_MAX: usize = 64;

/// Days that are counted of a destination.
pub(crate) const INIT_DESTINATION_DAYS_MAX: usize = 366;

/// Days on which a destination was paid before it is proposed: once is no habit.
pub(crate) const INIT_DESTINATION_DAYS_MIN: usize = 2;
