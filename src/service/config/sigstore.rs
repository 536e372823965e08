//! `[sigstore]` of the configuration: whom bundles of Sigstore are verified against. Data, its checks, and its files read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use keywatch_ingest::feeds::sigstore::trust::{Identity, Trust, TrustedKey};
use keywatch_ingest::feeds::sigstore::verifying::Verifying;
use keywatch_ingest::limits::{NAME_BYTES_MAX, SIGSTORE_TRUSTED_MAX};
use keywatch_ingest::reject::Problem;
use keywatch_store::Inventory;
use serde::Deserialize;

use super::read;

/// Whom to trust. The files are read once, at the start.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sigstore {
    /// `trusted_root.json`, or PEM: authorities of certificates and keys of logs. Without it no certificate and no log is
    /// trusted.
    pub(crate) trust_file: Option<PathBuf>,
    /// Who may sign with a certificate.
    #[serde(default)]
    pub(crate) identities: Vec<Expected>,
    /// Keys that may sign without one.
    #[serde(default)]
    pub(crate) keys: Vec<SigningKey>,
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

/// A public key that may sign the artifacts of a system.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SigningKey {
    /// What events call it, after `key:`.
    pub(crate) name: String,
    /// The system.
    pub(crate) system: String,
    /// The only repository it may sign for, letter by letter as the verifier names it; any of the system without.
    pub(crate) repository: Option<String>,
    /// PEM with one public key.
    pub(crate) file: PathBuf,
}

impl Sigstore {
    /// The feed that verifies against it.
    ///
    /// # Errors
    /// Names the file and what is wrong in it.
    pub(super) fn feed(&self) -> anyhow::Result<Verifying> {
        let trust = self.trust_file.as_deref().map_or_else(|| Ok(Trust::default()), |file| self.trust(file))?;
        let keys = self.keys.iter().map(SigningKey::parsed).collect::<anyhow::Result<Vec<TrustedKey>>>()?;
        Ok(Verifying::new(trust.with_keys(keys)))
    }

    fn trust(&self, trust_file: &Path) -> anyhow::Result<Trust> {
        let file = trust_file.display();
        let text = read(trust_file).with_context(|| format!("cannot read the trust file {file}"))?;
        let identity = |expected: &Expected| Identity {
            system: expected.system.clone(),
            subject: expected.subject.clone(),
            issuer: expected.issuer.clone(),
        };
        let trust = if self.identities.is_empty() && !self.keys.is_empty() {
            Trust::of_logs(text.as_bytes())
        } else {
            Trust::parse(text.as_bytes(), self.identities.iter().map(identity).collect())
        };
        trust.map_err(|Problem { field, reason }| anyhow::anyhow!("{file}: {field}: {reason}"))
    }

    pub(super) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.trust_file.iter_mut().chain(self.keys.iter_mut().map(|key| &mut key.file))
    }
}

impl SigningKey {
    fn parsed(&self) -> anyhow::Result<TrustedKey> {
        let file = self.file.display();
        let pem = read(&self.file).with_context(|| format!("cannot read the key file {file}"))?;
        let key = TrustedKey::parse(pem.as_bytes(), &self.name, &self.system, self.repository.as_deref());
        key.map_err(|Problem { field, reason }| anyhow::anyhow!("{file}: {field}: {reason}"))
    }
}

/// Checks it against the inventory.
///
/// # Errors
/// Each names the field and what to write instead.
pub(super) fn check(sigstore: &Sigstore, inventory: &Inventory) -> anyhow::Result<()> {
    let nobody = sigstore.identities.is_empty() && sigstore.keys.is_empty();
    ensure!(!nobody, "sigstore.identities: name who may sign, here or in sigstore.keys; nothing verifies without");
    ensure!(sigstore.trust_file.as_deref() != Some(Path::new("")), "sigstore.trust_file: name a file");
    ensure!(
        sigstore.trust_file.is_some() || sigstore.identities.is_empty(),
        "sigstore.trust_file: name a file; no identity verifies without its authorities and logs"
    );
    for (index, Expected { system, subject, issuer }) in sigstore.identities.iter().enumerate() {
        let declared = inventory.system(system).is_some();
        ensure!(declared, "sigstore.identities[{index}]: the inventory has no system `{system}`");
        let named = !subject.is_empty() && !issuer.is_empty() && !subject.contains('*') && !issuer.contains('*');
        ensure!(
            named,
            "sigstore.identities[{index}]: subject and issuer are compared letter by letter; write both in full"
        );
    }
    check_keys(&sigstore.keys, inventory)
}

fn check_keys(keys: &[SigningKey], inventory: &Inventory) -> anyhow::Result<()> {
    ensure!(keys.len() <= SIGSTORE_TRUSTED_MAX, "sigstore.keys: has {}, at most {SIGSTORE_TRUSTED_MAX}", keys.len());
    let mut named = BTreeSet::new();
    for (index, SigningKey { name, system, repository, .. }) in keys.iter().enumerate() {
        let declared = inventory.system(system).is_some();
        ensure!(declared, "sigstore.keys[{index}]: the inventory has no system `{system}`");
        ensure!(
            is_name(name),
            "sigstore.keys[{index}].name: use 1 to {NAME_BYTES_MAX} letters, digits, `-`, `_` and `.`"
        );
        ensure!(named.insert((name, system, repository)), "sigstore.keys[{index}]: `{name}` stands here twice");
        let in_full = repository.as_ref().is_none_or(|repository| !repository.is_empty() && !repository.contains('*'));
        ensure!(in_full, "sigstore.keys[{index}].repository: it is compared letter by letter; write it in full");
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "[[keys]]\nname = 'release'\nsystem = 'cold'\nrepository = 'registry.example/signer'\nfile = 'a.pub'\n";
    const IDENTITY: &str = "[[identities]]\nsystem = 'cold'\nsubject = 'https://github.com/exchange/release'\nissuer = 'https://id.example'\n";

    fn sigstore(text: &str) -> Sigstore {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let inventory = Inventory::parse("i.toml", "[[systems]]\nid = \"cold\"\n").unwrap();
        let of = |identities: &str| sigstore(&format!("trust_file = 'trusted_root.json'\n{identities}"));
        for good in [of(IDENTITY), of(KEY), of(&format!("{IDENTITY}{KEY}")), sigstore(KEY)] {
            assert!(check(&good, &inventory).is_ok(), "{good:?}");
        }
        for (changed, expected) in [
            (of("identities = []"), "name who may sign"),
            (of(&IDENTITY.replace("'cold'", "'hot'")), "no system `hot`"),
            (of(&IDENTITY.replace("exchange/release", "exchange/*")), "letter by letter"),
            (of(&IDENTITY.replace("'https://id.example'", "''")), "letter by letter"),
            (sigstore(IDENTITY), "sigstore.trust_file: name a file"),
            (sigstore(&KEY.replace("'cold'", "'hot'")), "keys[0]: the inventory has no system `hot`"),
            (sigstore(&KEY.replace("'release'", "'re lease'")), "keys[0].name: use 1 to"),
            (sigstore(&KEY.replace("'release'", "''")), "keys[0].name: use 1 to"),
            (sigstore(&KEY.replace("example/signer", "example/*")), "letter by letter"),
            (sigstore(&KEY.repeat(2)), "keys[1]: `release` stands here twice"),
            (sigstore(&KEY.repeat(33)), "has 33, at most 32"),
        ] {
            let error = check(&changed, &inventory).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_trust_file_that_is_missing_or_of_nothing_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("trusted_root.json");
        let sigstore = Sigstore { trust_file: Some(file.clone()), identities: Vec::new(), keys: Vec::new() };
        let why = |sigstore: &Sigstore| format!("{:#}", sigstore.feed().unwrap_err());
        assert!(why(&sigstore).contains("cannot read the trust file"));
        std::fs::write(&file, "{}").unwrap();
        assert!(
            why(&sigstore).contains("trusted_root.json: certificateAuthorities: has nothing"),
            "{}",
            why(&sigstore)
        );
    }

    #[test]
    fn a_key_file_that_is_missing_or_no_key_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let mut sigstore = sigstore(KEY);
        sigstore.keys[0].file = directory.path().join("release.pub");
        let why = |sigstore: &Sigstore| format!("{:#}", sigstore.feed().unwrap_err());
        assert!(why(&sigstore).contains("cannot read the key file"), "{}", why(&sigstore));
        std::fs::write(&sigstore.keys[0].file, "nothing").unwrap();
        assert!(why(&sigstore).contains("release.pub: key file: must hold one PUBLIC KEY"), "{}", why(&sigstore));
    }
}
