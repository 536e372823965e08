//! `[[identity_providers]]` and `[[signer_freezes]]` of the configuration: ways of a response besides the decision point. Data
//! and its checks; secrets stand in files that are named here and read elsewhere.

use std::path::PathBuf;

use anyhow::ensure;
use keywatch_alerting::limits::WAY_GIVE_UP_HOURS;
use keywatch_store::Inventory;
use serde::Deserialize;

use super::receiver::Addresses;

/// An identity provider that ends sessions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdentityProvider {
    /// Its name: responses are recorded under it.
    pub(crate) name: String,
    /// The system whose responses go there.
    pub(crate) system: String,
    pub(crate) kind: IdentityProviderKind,
    /// Base address of its API, or where tokens are pushed to.
    pub(crate) url: Option<String>,
    /// File with what it lets us in with. It is read again when it changes.
    pub(crate) token_file: Option<PathBuf>,
    /// Who keywatch is to whoever gives it such tokens, in place of a file.
    pub(crate) client_credentials: Option<ClientCredentials>,
    /// Lets the token leave the machine without TLS. Whoever is in between can then end sessions, and often more.
    #[serde(default)]
    pub(crate) token_over_plain_http: bool,
    /// Whether people have to approve.
    #[serde(default = "yes")]
    pub(crate) approval: bool,
    #[serde(default)]
    pub(crate) when: WhenGone,
    #[serde(default)]
    pub(crate) ends: Ends,
    #[serde(default = "give_up_hours")]
    pub(crate) give_up_hours: u32,
    /// Keycloak's realm.
    pub(crate) realm: Option<String>,
    /// CAEP: `iss` of tokens.
    pub(crate) issuer: Option<String>,
    /// CAEP: `aud` of tokens.
    pub(crate) audience: Option<String>,
    /// CAEP: `kid` of tokens.
    pub(crate) key_id: Option<String>,
    /// CAEP: file with the private key, PEM.
    pub(crate) key_file: Option<PathBuf>,
    /// CAEP: how people are named.
    pub(crate) subject_format: Option<SubjectFormatName>,
    /// CAEP: the issuer of `iss_sub`.
    pub(crate) subject_issuer: Option<String>,
    #[serde(default)]
    pub(crate) addresses: Addresses,
}

/// By which a provider gives keywatch tokens (RFC 6749, section 4.4).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientCredentials {
    /// Where the provider gives tokens.
    pub(crate) token_url: String,
    /// Who keywatch is there.
    pub(crate) client_id: String,
    /// File with the secret that proves it.
    pub(crate) client_secret_file: PathBuf,
    /// What the token is to be good for, in the provider's words.
    #[serde(default)]
    pub(crate) scope: String,
}

/// A signer's service that stops signing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignerFreeze {
    /// Its name: responses are recorded under it.
    pub(crate) name: String,
    /// The system whose responses go there.
    pub(crate) system: String,
    pub(crate) url: String,
    /// Files with one `whsec_…` or `whsk_…` secret each, the newest first.
    pub(crate) secret_files: Vec<PathBuf>,
    /// Wallets that it signs for; all where none is named.
    #[serde(default)]
    pub(crate) wallets: Vec<String>,
    /// Whether people have to approve.
    #[serde(default = "yes")]
    pub(crate) approval: bool,
    #[serde(default)]
    pub(crate) when: WhenGone,
    #[serde(default = "give_up_hours")]
    pub(crate) give_up_hours: u32,
    #[serde(default)]
    pub(crate) addresses: Addresses,
}

/// Whose API it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum IdentityProviderKind {
    Caep,
    Okta,
    Entra,
    Keycloak,
}

/// When a response goes there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WhenGone {
    #[default]
    Always,
    /// Once no replica of the decision point has taken it.
    Unreachable,
}

/// What it is asked to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ends {
    /// All sessions of the person.
    #[default]
    Person,
    /// The one session, by the id that events have.
    Session,
}

/// How people are named in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SubjectFormatName {
    #[default]
    Email,
    IssSub,
    Opaque,
}

fn yes() -> bool {
    true
}

fn give_up_hours() -> u32 {
    WAY_GIVE_UP_HOURS
}

impl IdentityProvider {
    /// Paths that are meant from where the configuration is.
    pub(crate) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let secrets = self.client_credentials.iter_mut().map(|client| &mut client.client_secret_file);
        self.token_file.iter_mut().chain(&mut self.key_file).chain(secrets)
    }
}

impl SignerFreeze {
    /// Paths that are meant from where the configuration is.
    pub(crate) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.secret_files.iter_mut()
    }
}

/// Names are what responses are recorded under.
///
/// # Errors
/// A name that is there twice, a system that is not declared.
pub(crate) fn check(
    providers: &[IdentityProvider],
    freezes: &[SignerFreeze],
    inventory: &Inventory,
) -> anyhow::Result<()> {
    let providers = providers.iter().map(|provider| ("identity_providers", &provider.name, &provider.system));
    let freezes = freezes.iter().map(|freeze| ("signer_freezes", &freeze.name, &freeze.system));
    let mut names: Vec<&str> = Vec::new();
    for (table, name, system) in providers.chain(freezes) {
        ensure!(inventory.system(system).is_some(), "{table} `{name}`: the inventory has no system `{system}`");
        ensure!(!names.contains(&name.as_str()), "{table}: there are two ways `{name}`; each needs its own name");
        names.push(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_has_its_own_name_and_a_system_that_there_is_and_waits_for_people() {
        let inventory = Inventory::parse("i.toml", "[[systems]]\nid = 'cold'\n").unwrap();
        let provider = |system: &str| {
            let text = format!("name = 'idp'\nsystem = '{system}'\nkind = 'okta'");
            toml::from_str::<IdentityProvider>(&text).unwrap()
        };
        let freeze = "name = 'idp'\nsystem = 'cold'\nurl = 'https://s.example'\nsecret_files = ['s']";
        let freeze: SignerFreeze = toml::from_str(freeze).unwrap();
        assert!(provider("cold").approval && freeze.approval, "behind approval unless configured");
        check(&[provider("cold")], &[], &inventory).unwrap();
        let twice = check(&[provider("cold")], &[freeze], &inventory).unwrap_err().to_string();
        assert!(twice.contains("two ways `idp`"), "{twice}");
        let stray = check(&[provider("hot")], &[], &inventory).unwrap_err().to_string();
        assert!(stray.contains("no system `hot`"), "{stray}");
        let unknown = toml::from_str::<IdentityProvider>("name = 'a'\nsystem = 'b'\nkind = 'okta'\ntoken = 'x'");
        assert!(unknown.unwrap_err().to_string().contains("unknown field `token`"));
    }
}
