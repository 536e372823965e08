//! The keys of roles: whose messages are read, and with which the own ones are signed.

use super::message::Seal;
use super::settings::Settings;
use crate::Error;
use crate::log::embedded::directory::{create_key, read_key};
use crate::log::hash_chain::Key;

/// The key of the role that writes; drawn where there is none yet.
pub(super) fn own(settings: &Settings) -> Result<Key, Error> {
    create_key(&settings.key_file)?;
    read_key(&settings.key_file)
}

/// All keys that are at hand, of which the own one is drawn where there is none.
pub(super) fn seal(settings: &Settings) -> Result<Seal, Error> {
    create_key(&settings.key_file)?;
    at_hand(settings)
}

/// All keys that are at hand.
pub(super) fn at_hand(settings: &Settings) -> Result<Seal, Error> {
    let own = read_key(&settings.key_file)?;
    let mut keys = std::collections::BTreeMap::from([(settings.role.clone(), own)]);
    for (role, file) in &settings.other_keys {
        keys.insert(role.clone(), read_key(file)?);
    }
    Ok(Seal { clock: settings.clock, keys, partitions: settings.partitions })
}
