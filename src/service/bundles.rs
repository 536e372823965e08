//! The boards on which signed revocation bundles are offered, one for each system whose decision points fetch them, and who
//! may fetch. Made of the configuration; reads the files of the keys. Knows nothing of HTTP and of what is revoked.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::sync::Arc;

use anyhow::{Context, ensure};
use keywatch_alerting::{BundleBoard, SigningKey};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::service::config::{self, Config, Delivery};

/// All boards. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Bundles {
    boards: BTreeMap<String, Arc<BundleBoard>>,
    readers: Vec<Reader>,
}

#[derive(Clone)]
struct Reader {
    system: String,
    token_sha256: [u8; 32],
}

impl Bundles {
    /// From the configuration.
    ///
    /// # Errors
    /// A key file that cannot be read or is none, a hash that is none.
    pub(crate) fn new(config: &Config) -> anyhow::Result<Bundles> {
        let mut bundles = Bundles::default();
        let fetching = config.decision_points.iter().filter(|point| point.delivery == Delivery::Bundle);
        for point in fetching {
            let digest = point.bundle_token_sha256.as_deref().unwrap_or_default();
            let mut token_sha256 = [0; 32];
            hex::decode_to_slice(digest, &mut token_sha256)
                .with_context(|| format!("decision point {}: bundle_token_sha256 is no SHA-256", point.opa))?;
            bundles.readers.push(Reader { system: point.system.clone(), token_sha256 });
            if let Entry::Vacant(missing) = bundles.boards.entry(point.system.clone()) {
                let keys = config.bundles.keys.iter().map(key).collect::<anyhow::Result<_>>()?;
                missing.insert(BundleBoard::new(keys)?);
            }
        }
        Ok(bundles)
    }

    /// The board of a system, where its decision points fetch.
    pub(crate) fn board(&self, system: &str) -> Option<&Arc<BundleBoard>> {
        self.boards.get(system)
    }

    /// The board of a system for whoever presents this token. Every entry is compared, so that the time of an answer tells
    /// nothing of a token.
    pub(crate) fn board_for(&self, system: &str, token: &[u8]) -> Option<&Arc<BundleBoard>> {
        let presented: [u8; 32] = Sha256::digest(token).into();
        let may = self.readers.iter().fold(Choice::from(0), |may, reader| {
            let of_system = Choice::from(u8::from(reader.system == system));
            may | (of_system & reader.token_sha256.ct_eq(&presented))
        });
        if bool::from(may) { self.board(system) } else { None }
    }
}

fn key(configured: &config::BundleKey) -> anyhow::Result<SigningKey> {
    let file = configured.file.display();
    let pem = fs::read_to_string(&configured.file).with_context(|| format!("cannot read the bundle key {file}"))?;
    ensure!(!pem.trim().is_empty(), "the bundle key {file} is empty");
    Ok(SigningKey::from_pem(&configured.id, &pem)?)
}
