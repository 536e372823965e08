//! Every hard limit of this room, with its unit in the name (promise P7).

/// Systems of one simulation.
pub(crate) const SYSTEMS_MAX: u64 = 1_000;

/// Days of one simulation: ten years.
pub(crate) const DAYS_MAX: u64 = 3_653;

/// Events of one simulation.
pub(crate) const EVENTS_MAX: u64 = 1_000_000_000_000;

/// Wallets of one system: what its inventory, one event line, can declare.
pub(crate) const WALLETS_MAX: u64 = 384;

/// Desks of one system, each with its own wallets and people.
pub(crate) const DESKS_MAX: u64 = 24;

/// Attacks of one simulation.
pub(crate) const ATTACKS_MAX: u64 = 1_000_000;

/// Parts of the agenda that are kept apart before later entries are gathered by part.
pub(crate) const AGENDA_PARTS_MAX: usize = 2_048;
