//! `[sigstore]` of the configuration: whom bundles of Sigstore are verified against. Data, its checks, and its file read.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use keywatch_ingest::feeds::sigstore::trust::{Identity, Trust};
use keywatch_ingest::feeds::sigstore::verifying::Verifying;
use keywatch_ingest::reject::Problem;
use keywatch_store::Inventory;
use serde::Deserialize;

use super::read;

/// Whom to trust. The file is read once, at the start.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sigstore {
    /// `trusted_root.json`, or PEM: authorities of certificates and keys of logs.
    pub(crate) trust_file: PathBuf,
    /// Who may sign.
    pub(crate) identities: Vec<Expected>,
}

/// Who may sign the artifacts of a system.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    /// The system.
    pub(crate) system: String,
    /// The certificate's name, letter by letter.
    pub(crate) subject: String,
    /// Who vouched for it, letter by letter.
    pub(crate) issuer: String,
}

impl Sigstore {
    /// The feed that verifies against it.
    ///
    /// # Errors
    /// Names the file and what is wrong in it.
    pub(super) fn feed(&self) -> anyhow::Result<Verifying> {
        let file = self.trust_file.display();
        let text = read(&self.trust_file).with_context(|| format!("cannot read the trust file {file}"))?;
        let identity = |expected: &Expected| Identity {
            system: expected.system.clone(),
            subject: expected.subject.clone(),
            issuer: expected.issuer.clone(),
        };
        let trust = Trust::parse(text.as_bytes(), self.identities.iter().map(identity).collect());
        let trust = trust.map_err(|Problem { field, reason }| anyhow::anyhow!("{file}: {field}: {reason}"))?;
        Ok(Verifying::new(trust))
    }

    pub(super) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.trust_file].into_iter()
    }
}

/// Checks it against the inventory.
///
/// # Errors
/// Each names the field and what to write instead.
pub(super) fn check(sigstore: &Sigstore, inventory: &Inventory) -> anyhow::Result<()> {
    ensure!(sigstore.trust_file != Path::new(""), "sigstore.trust_file: name a file");
    ensure!(!sigstore.identities.is_empty(), "sigstore.identities: name who may sign; nothing verifies without");
    for (index, Expected { system, subject, issuer }) in sigstore.identities.iter().enumerate() {
        let declared = inventory.system(system).is_some();
        ensure!(declared, "sigstore.identities[{index}]: the inventory has no system `{system}`");
        let named = !subject.is_empty() && !issuer.is_empty() && !subject.contains('*') && !issuer.contains('*');
        ensure!(
            named,
            "sigstore.identities[{index}]: subject and issuer are compared letter by letter; write both in full"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: &str = "[[identities]]\nsystem = 'cold'\nsubject = 'https://github.com/exchange/release'\nissuer = 'https://id.example'\n";

    fn sigstore(text: &str) -> Sigstore {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let inventory = Inventory::parse("i.toml", "[[systems]]\nid = \"cold\"\n").unwrap();
        let of = |identities: &str| sigstore(&format!("trust_file = 'trusted_root.json'\n{identities}"));
        assert!(check(&of(IDENTITY), &inventory).is_ok());
        for (changed, expected) in [
            (of("identities = []"), "name who may sign"),
            (of(&IDENTITY.replace("'cold'", "'hot'")), "no system `hot`"),
            (of(&IDENTITY.replace("exchange/release", "exchange/*")), "letter by letter"),
            (of(&IDENTITY.replace("'https://id.example'", "''")), "letter by letter"),
        ] {
            let error = check(&changed, &inventory).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_trust_file_that_is_missing_or_of_nothing_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("trusted_root.json");
        let sigstore = Sigstore { trust_file: file.clone(), identities: Vec::new() };
        let why = |sigstore: &Sigstore| format!("{:#}", sigstore.feed().unwrap_err());
        assert!(why(&sigstore).contains("cannot read the trust file"));
        std::fs::write(&file, "{}").unwrap();
        assert!(
            why(&sigstore).contains("trusted_root.json: certificateAuthorities: has nothing"),
            "{}",
            why(&sigstore)
        );
    }
}
