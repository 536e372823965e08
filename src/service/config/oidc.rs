//! `[oidc]` of the configuration: operators whom an identity provider names. Data and its checks.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use keywatch_ingest::signature::Algorithm;
use keywatch_store::Inventory;
use reqwest::Url;
use serde::Deserialize;

use super::is_private;
use super::sign_in::{self, SignIn};
use crate::limits::OIDC_SKEW_SECONDS_MAX;
use crate::service::operators::Role;

/// The one identity provider that names operators.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Oidc {
    /// `iss` of its tokens, letter by letter.
    pub(crate) issuer: String,
    /// `aud` of tokens for keywatch.
    pub(crate) audience: String,
    /// Where its keys are.
    pub(crate) keys_url: String,
    /// Algorithms that it signs with.
    #[serde(default = "algorithms")]
    pub(crate) algorithms: Vec<String>,
    /// The claim that names the person in records. It has to be one that nobody can choose for themselves.
    pub(crate) name_claim: String,
    /// By how much clocks may differ.
    #[serde(default = "clock_skew_seconds")]
    pub(crate) clock_skew_seconds: u32,
    /// What people may do. The first that fits a person counts, and no other.
    pub(crate) grants: Vec<Grant>,
    /// How they sign in on the page; without it, only operators of the configuration do.
    pub(crate) sign_in: Option<SignIn>,
}

/// What people with a claim may do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grant {
    /// The claim; `a.b` is `b` within `a`.
    pub(crate) claim: String,
    /// Its value, or one of its values.
    pub(crate) value: String,
    /// What they may do.
    pub(crate) roles: BTreeSet<Role>,
    /// In which systems, or `*` for all.
    pub(crate) systems: BTreeSet<String>,
}

fn algorithms() -> Vec<String> {
    ["RS256", "ES256"].map(str::to_owned).to_vec()
}

fn clock_skew_seconds() -> u32 {
    60
}

/// Checks it against the inventory.
///
/// # Errors
/// Each names the field and what to write instead.
pub(crate) fn check(configured: &Oidc, inventory: &Inventory) -> anyhow::Result<()> {
    for (name, text) in
        [("issuer", &configured.issuer), ("audience", &configured.audience), ("name_claim", &configured.name_claim)]
    {
        ensure!(!text.trim().is_empty(), "oidc.{name}: is empty");
    }
    keys_url(configured).context("oidc.keys_url")?;
    ensure!(!configured.algorithms.is_empty(), "oidc.algorithms: name those that the issuer signs with");
    for name in &configured.algorithms {
        let known = Algorithm::named(name).is_some();
        ensure!(known, "oidc.algorithms: there is no `{name}`; there are RS256, RS512, ES256, EdDSA");
    }
    let skew = configured.clock_skew_seconds;
    ensure!(skew <= OIDC_SKEW_SECONDS_MAX, "oidc.clock_skew_seconds: at most {OIDC_SKEW_SECONDS_MAX}");
    ensure!(!configured.grants.is_empty(), "oidc.grants: without one nobody may do anything");
    for (index, grant) in configured.grants.iter().enumerate() {
        check_grant(grant, inventory).with_context(|| format!("oidc.grants[{index}]"))?;
    }
    if let Some(sign_in) = &configured.sign_in {
        sign_in::check(sign_in, &configured.issuer).context("oidc.sign_in")?;
    }
    Ok(())
}

fn check_grant(grant: &Grant, inventory: &Inventory) -> anyhow::Result<()> {
    ensure!(!grant.claim.is_empty() && !grant.value.is_empty(), "claim and value: say which people are meant");
    ensure!(!grant.roles.is_empty(), "roles: give viewer, analyst, responder, admin or auditor");
    ensure!(!grant.systems.is_empty(), "systems: name their systems, or \"*\" for all");
    for system in grant.systems.iter().filter(|system| *system != "*") {
        ensure!(inventory.system(system).is_some(), "systems: the inventory has no system `{system}`");
    }
    Ok(())
}

/// Where the keys are. Who could change them on their way could be anybody.
///
/// # Errors
/// It is no address, or one without TLS beyond this machine.
pub(crate) fn keys_url(configured: &Oidc) -> anyhow::Result<Url> {
    let url = Url::parse(&configured.keys_url).with_context(|| format!("`{}` is no address", configured.keys_url))?;
    ensure!(is_private(&url), "`{url}` could be changed on its way; use https");
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        let inventory = Inventory::parse("i", "[[systems]]\nid = \"cold\"").unwrap();
        let grant = || Grant {
            claim: "groups".into(),
            value: "soc".into(),
            roles: [Role::Analyst].into(),
            systems: ["cold".to_owned()].into(),
        };
        let good = || Oidc {
            issuer: "https://id.example".into(),
            audience: "keywatch".into(),
            keys_url: "https://id.example/keys".into(),
            algorithms: algorithms(),
            name_claim: "email".into(),
            clock_skew_seconds: 60,
            grants: vec![grant()],
            sign_in: None,
        };
        check(&good(), &inventory).unwrap();
        check(&Oidc { keys_url: "http://127.0.0.1:1/keys".into(), ..good() }, &inventory).unwrap();
        for (wrong, expected) in [
            (Oidc { issuer: String::new(), ..good() }, "oidc.issuer"),
            (Oidc { audience: " ".into(), ..good() }, "oidc.audience"),
            (Oidc { keys_url: "http://id.example/keys".into(), ..good() }, "use https"),
            (Oidc { keys_url: "keys".into(), ..good() }, "is no address"),
            (Oidc { algorithms: vec!["none".into()], ..good() }, "there is no `none`"),
            (Oidc { algorithms: vec!["HS256".into()], ..good() }, "there is no `HS256`"),
            (Oidc { algorithms: Vec::new(), ..good() }, "oidc.algorithms"),
            (Oidc { clock_skew_seconds: 301, ..good() }, "at most 300"),
            (Oidc { grants: Vec::new(), ..good() }, "oidc.grants"),
            (Oidc { grants: vec![Grant { roles: [].into(), ..grant() }], ..good() }, "grants[0]: roles"),
            (Oidc { grants: vec![Grant { value: String::new(), ..grant() }], ..good() }, "claim and value"),
            (
                Oidc { grants: vec![grant(), Grant { systems: ["hot".to_owned()].into(), ..grant() }], ..good() },
                "grants[1]: systems: the inventory has no system `hot`",
            ),
        ] {
            let problem = format!("{:#}", check(&wrong, &inventory).unwrap_err());
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
