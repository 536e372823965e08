//! The configuration of `keywatch run`: a commented default that is compiled in, then the file, then the environment and
//! the command line. Reads and checks; opens nothing that it points to but the inventory.

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use keywatch_alerting::{Policy, Route};
use keywatch_detectors::Settings;
use keywatch_ingest::feeds::mapping::{Mapping, installed::Installed};
use keywatch_store::Inventory;
use reqwest::Url;
use serde::Deserialize;

use crate::limits::CONFIG_BYTES_MAX;
use crate::service::intake_topics::IntakeConfig;
use crate::service::operators;
use crate::service::pull::start as pulls;

pub(crate) mod chain;
pub(crate) mod credential;
pub(crate) mod log;
pub(crate) mod oidc;
pub(crate) mod pull;
pub(crate) mod receiver;
pub(crate) mod reload;
mod share;
pub(crate) mod sign_in;
mod sigstore;
pub(crate) mod sql;
pub(crate) mod way;

pub(crate) use chain::{Chain, Endpoint};
use credential::Credential;
use log::LogConfig;
use receiver::{HeartbeatOf, Receiver, Webhook};
use way::{IdentityProvider, SignerFreeze};

/// The default, with a comment on every field.
pub(crate) const DEFAULT: &str = include_str!("config.default.toml");

/// What one machine needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The file itself.
    #[serde(skip)]
    pub(crate) file: PathBuf,
    /// Directory of the log.
    pub(crate) data: PathBuf,
    /// Inventory file.
    pub(crate) inventory: PathBuf,
    /// Which log.
    pub(crate) log: LogConfig,
    /// Topics of Kafka that others write.
    pub(crate) intake: IntakeConfig,
    /// The front door.
    pub(crate) server: Server,
    /// Who may send.
    pub(crate) credentials: Vec<Credential>,
    /// Who may use the API.
    pub(crate) operators: Vec<operators::Configured>,
    /// The identity provider that names further operators.
    pub(crate) oidc: Option<oidc::Oidc>,
    /// Feeds of the operator's own.
    pub(crate) feeds: Vec<MappedFeed>,
    /// Whom bundles of Sigstore are verified against.
    pub(crate) sigstore: Option<sigstore::Sigstore>,
    /// Those feeds and the ones built in, once their files are read.
    #[serde(skip)]
    pub(crate) installed: Installed,
    /// Directory of rules beside those built in.
    pub(crate) rules_directory: Option<PathBuf>,
    /// Rules that are off, and parameters that differ from a rule's own.
    pub(crate) rules: Settings,
    /// What keywatch may do alone, and from which severity it notifies.
    pub(crate) alerting: Policy,
    /// Destinations of notifications.
    pub(crate) webhooks: Vec<Webhook>,
    /// Further receivers of notifications.
    pub(crate) receivers: Vec<Receiver>,
    /// Heartbeats beside receivers.
    pub(crate) heartbeats: Vec<HeartbeatOf>,
    /// Which receivers are told of what; all of everything where there is none.
    pub(crate) routes: Vec<Route>,
    /// Where sessions are cut.
    pub(crate) decision_points: Vec<DecisionPoint>,
    /// Identity providers that end sessions.
    pub(crate) identity_providers: Vec<IdentityProvider>,
    /// Signers that stop signing.
    pub(crate) signer_freezes: Vec<SignerFreeze>,
    /// Chains that are followed.
    pub(crate) chains: Vec<Chain>,
    /// Sources that keywatch asks itself.
    pub(crate) pull: Vec<pull::Pull>,
    /// Revocation documents as signed bundles.
    pub(crate) bundles: BundleSettings,
    /// The endpoint for SQL.
    pub(crate) sql: sql::Sql,
}

/// The front door.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Server {
    /// Address to listen on.
    pub(crate) listen: SocketAddr,
    /// Whether an address beyond this machine is meant.
    pub(crate) beyond_loopback: bool,
    /// Whether browsers speak TLS with a proxy in front of keywatch, whatever that says of it.
    pub(crate) tls_in_front: bool,
    /// Addresses of reverse proxies, which stand for many and are not limited as one address.
    pub(crate) proxies: Vec<IpAddr>,
    /// TLS; without it, plain HTTP.
    pub(crate) tls: Option<Tls>,
}

/// TLS of the front door. The files are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the names are the configuration's keys")]
pub(crate) struct Tls {
    /// File with the certificate and those between it and its root, PEM.
    pub(crate) certificate_file: PathBuf,
    /// File with its private key, PEM.
    pub(crate) key_file: PathBuf,
    /// File with the authorities of client certificates, PEM.
    pub(crate) client_ca_file: Option<PathBuf>,
}

impl Tls {
    fn has_clients(&self) -> bool {
        self.client_ca_file.is_some()
    }

    fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.certificate_file, &mut self.key_file].into_iter().chain(&mut self.client_ca_file)
    }
}

/// A feed without code.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MappedFeed {
    /// Its mapping file, which also names it.
    pub(crate) mapping: PathBuf,
}

/// A policy decision point of a system. Several of one system are its replicas.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecisionPoint {
    /// The system whose sessions it decides on.
    pub(crate) system: String,
    /// Name of the replica; the address without one.
    pub(crate) name: Option<String>,
    /// Base address of the Open Policy Agent.
    pub(crate) opa: String,
    /// File with its bearer token, where it asks for one. It is read again when it changes.
    pub(crate) token_file: Option<PathBuf>,
    /// Lets the token leave the machine without TLS. Whoever is in between can then write what is revoked.
    #[serde(default)]
    pub(crate) token_over_plain_http: bool,
    /// File with the input of a healthy session, which has to stay allowed.
    pub(crate) control_file: PathBuf,
    /// The control is an identity of its own: whoever signs with it is an attacker.
    #[serde(default)]
    pub(crate) control_signs_never: bool,
    /// How the revocation document gets there.
    #[serde(default)]
    pub(crate) delivery: Delivery,
    /// SHA-256 of the token with which it fetches bundles, 64 hexadecimal digits.
    pub(crate) bundle_token_sha256: Option<String>,
}

/// How a revocation document gets to a decision point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Delivery {
    /// It is written there.
    #[default]
    Data,
    /// It is fetched from keywatch as a signed bundle.
    Bundle,
}

/// Revocation documents as signed bundles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BundleSettings {
    /// Keys that sign, the newest first.
    pub(crate) keys: Vec<BundleKey>,
}

/// A key that signs bundles.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BundleKey {
    /// The name that decision points know it by.
    pub(crate) id: String,
    /// File with the private key, PEM.
    pub(crate) file: PathBuf,
}

impl DecisionPoint {
    /// What people are told of it.
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.opa)
    }
}

/// Values given on the command line or in the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Overrides {
    /// Address to listen on, instead of the file's
    #[arg(long, env = "KEYWATCH_LISTEN", value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Directory of the log, instead of the file's
    #[arg(long, env = "KEYWATCH_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Inventory file, instead of the file's
    #[arg(long, env = "KEYWATCH_INVENTORY", value_name = "FILE")]
    pub(crate) inventory: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            file: PathBuf::new(),
            data: "keywatch-data".into(),
            inventory: "inventory.toml".into(),
            log: LogConfig::default(),
            intake: IntakeConfig::default(),
            server: Server::default(),
            credentials: Vec::new(),
            operators: Vec::new(),
            oidc: None,
            feeds: Vec::new(),
            sigstore: None,
            installed: Installed::default(),
            rules_directory: None,
            rules: Settings::default(),
            alerting: Policy::default(),
            webhooks: Vec::new(),
            receivers: Vec::new(),
            heartbeats: Vec::new(),
            routes: Vec::new(),
            decision_points: Vec::new(),
            identity_providers: Vec::new(),
            signer_freezes: Vec::new(),
            chains: Vec::new(),
            pull: Vec::new(),
            bundles: BundleSettings::default(),
            sql: sql::Sql::default(),
        }
    }
}

impl Server {
    /// Whether every browser comes over TLS, with keywatch or with what stands in front of it.
    pub(crate) fn is_over_tls(&self) -> bool {
        self.tls.is_some() || self.tls_in_front
    }
}

impl Default for Server {
    fn default() -> Self {
        Server {
            listen: SocketAddr::from(([127, 0, 0, 1], 8040)),
            beyond_loopback: false,
            tls_in_front: false,
            proxies: Vec::new(),
            tls: None,
        }
    }
}

impl Config {
    /// The paths of the file that nothing overrides.
    fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let secrets = self.webhooks.iter_mut().flat_map(|webhook| webhook.secret_files.iter_mut());
        let points = self.decision_points.iter_mut();
        let of_points = points.flat_map(|point| point.token_file.iter_mut().chain([&mut point.control_file]));
        let signatures = self.credentials.iter_mut().filter_map(|credential| credential.signature.as_mut());
        let of_signatures = signatures.flat_map(credential::Signature::paths);
        let tls = self.server.tls.iter_mut().flat_map(Tls::paths);
        let of_sql = self.sql.tls.iter_mut().flat_map(Tls::paths);
        let mappings = self.feeds.iter_mut().map(|feed| &mut feed.mapping);
        let of_sigstore = self.sigstore.iter_mut().flat_map(sigstore::Sigstore::paths);
        let nodes = self.chains.iter_mut().flat_map(|chain| chain.endpoints.iter_mut());
        let of_nodes = nodes.flat_map(|endpoint| [&mut endpoint.url_file, &mut endpoint.ws_file]);
        let of_nodes = of_nodes.filter_map(Option::as_mut);
        let of_pulls = self.pull.iter_mut().flat_map(pull::Pull::paths);
        let of_receivers = self.receivers.iter_mut().flat_map(Receiver::paths);
        let of_heartbeats = self.heartbeats.iter_mut().map(|heartbeat| &mut heartbeat.url_file);
        let keys = self.bundles.keys.iter_mut().map(|key| &mut key.file);
        let passwords = self.operators.iter_mut().filter_map(|operator| operator.sql_password_file.as_mut());
        let of_providers = self.identity_providers.iter_mut().flat_map(IdentityProvider::paths);
        let of_sign_in = self.oidc.iter_mut().filter_map(|oidc| oidc.sign_in.as_mut());
        let of_sign_in = of_sign_in.filter_map(|sign_in| sign_in.client_secret_file.as_mut());
        let of_freezes = self.signer_freezes.iter_mut().flat_map(SignerFreeze::paths);
        secrets
            .chain(of_receivers)
            .chain(of_heartbeats)
            .chain(of_pulls)
            .chain(of_providers)
            .chain(of_freezes)
            .chain(of_points)
            .chain(of_nodes)
            .chain(of_signatures)
            .chain(tls)
            .chain(of_sql)
            .chain(keys)
            .chain(passwords)
            .chain(of_sign_in)
            .chain(&mut self.rules_directory)
            .chain(mappings)
            .chain(of_sigstore)
            .chain(self.log.paths())
            .chain(self.intake.client_secret_files.values_mut())
            .chain(self.intake.oauth.paths())
    }
}

/// Reads the file, lays the overrides over it, reads the inventory and checks that the two agree.
///
/// # Errors
/// Each names the file and what to write instead.
pub(crate) fn load(file: &Path, overrides: &Overrides) -> anyhow::Result<(Config, Inventory)> {
    let text = read(file).with_context(|| {
        format!("cannot read {} (`keywatch run --print-config` prints one to start from)", file.display())
    })?;
    let mut config = parse(&file.display().to_string(), &text)?;
    // Paths in a file are meant from where the file is.
    let home = file.parent().unwrap_or(Path::new(""));
    config.file = file.to_owned();
    config.data = overrides.data.clone().unwrap_or_else(|| home.join(&config.data));
    config.inventory = overrides.inventory.clone().unwrap_or_else(|| home.join(&config.inventory));
    for path in config.paths() {
        *path = home.join(&*path);
    }
    config.server.listen = overrides.listen.unwrap_or(config.server.listen);
    let inventory = read_inventory(&config.inventory)?;
    for feed in &config.feeds {
        config.installed.add(read_mapping(&feed.mapping)?).with_context(|| feed.mapping.display().to_string())?;
    }
    if let Some(sigstore) = &config.sigstore {
        config.installed.verify(sigstore.feed().context("sigstore")?);
    }
    check(&config, &inventory).with_context(|| file.display().to_string())?;
    Ok((config, inventory))
}

/// Reads an inventory file.
///
/// # Errors
/// Names the file, and for bad TOML the line and the field.
pub(crate) fn read_inventory(file: &Path) -> anyhow::Result<Inventory> {
    let text = read(file).with_context(|| {
        format!("cannot read the inventory {} (docs/inventory.md says what stands in one)", file.display())
    })?;
    Ok(Inventory::parse(&file.display().to_string(), &text)?)
}

/// Reads a mapping file.
///
/// # Errors
/// Names the file, and everything that is wrong in it by line and key.
pub(crate) fn read_mapping(file: &Path) -> anyhow::Result<Mapping> {
    let text = read(file).with_context(|| format!("cannot read the mapping {}", file.display()))?;
    Ok(Mapping::parse(&file.display().to_string(), &text)?)
}

fn parse(file: &str, text: &str) -> anyhow::Result<Config> {
    toml::from_str(text).map_err(|error| anyhow::anyhow!("{file}: {}", error.to_string().trim_end()))
}

fn read(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(CONFIG_BYTES_MAX + 1).read_to_string(&mut text)?;
    ensure!(text.len() as u64 <= CONFIG_BYTES_MAX, "more than {CONFIG_BYTES_MAX} bytes");
    Ok(text)
}

/// Whether the two agree.
///
/// # Errors
/// Each names the field and what to write instead.
pub(crate) fn check(config: &Config, inventory: &Inventory) -> anyhow::Result<()> {
    let listen = config.server.listen;
    if !listen.ip().is_loopback() && !config.server.beyond_loopback && config.server.tls.is_none() {
        bail!(
            "server.listen: {listen} is reachable from other machines and tokens travel in the clear; \
             add [server.tls], or end TLS in front of keywatch and set server.beyond_loopback = true"
        );
    }
    config.log.check()?;
    config.intake.check(&config.log.kafka, &config.installed, inventory)?;
    chain::check(&config.chains, &config.credentials, inventory)?;
    pulls::check(&config.pull, inventory)?;
    let has_clients = config.server.tls.as_ref().is_some_and(Tls::has_clients);
    credential::check(&config.credentials, &config.installed, inventory, has_clients)?;
    let tokens = config.credentials.iter().flat_map(|credential| &credential.token_sha256);
    let taken: Vec<&str> = tokens.map(String::as_str).collect();
    operators::check(&config.operators, &taken, inventory)?;
    config.oidc.as_ref().map_or(Ok(()), |provider| oidc::check(provider, inventory))?;
    config.sigstore.as_ref().map_or(Ok(()), |sigstore| sigstore::check(sigstore, inventory))?;
    receiver::check(&config.webhooks, &config.receivers, &config.heartbeats, &config.routes)?;
    way::check(&config.identity_providers, &config.signer_freezes, inventory)?;
    sql::check(&config.sql, &config.operators)?;
    share::check(config)?;
    for (index, point) in config.decision_points.iter().enumerate() {
        let declared = inventory.system(&point.system).is_some();
        ensure!(declared, "decision_points[{index}]: the inventory has no system `{}`", point.system);
        check_replica(point, &config.decision_points[..index], &config.bundles)
            .with_context(|| format!("decision_points[{index}]"))?;
    }
    Ok(())
}

/// Whether what is secret may go there: over TLS, or to this machine.
pub(crate) fn is_private(url: &Url) -> bool {
    let is_here = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}

/// Replicas of one system decide alike, so they are proved alike.
fn check_replica(point: &DecisionPoint, earlier: &[DecisionPoint], bundles: &BundleSettings) -> anyhow::Result<()> {
    let address = |point: &DecisionPoint| point.opa.trim_end_matches('/').to_owned();
    if let Some(other) = earlier.iter().find(|other| other.system != point.system && address(other) == address(point)) {
        bail!(
            "opa: {} is the decision point of system `{}` already; it holds one revocation document, and the documents of two \
             systems would take each other's place: give each system an OPA of its own",
            point.opa,
            other.system
        );
    }
    for other in earlier.iter().filter(|other| other.system == point.system) {
        ensure!(other.opa != point.opa, "opa: system `{}` has {} already", point.system, point.opa);
        ensure!(other.name() != point.name(), "name: system `{}` has a `{}` already", point.system, point.name());
        let alike = other.control_file == point.control_file && other.delivery == point.delivery;
        ensure!(alike, "replicas of system `{}` need the same control_file and delivery", point.system);
    }
    let is_clear = point.token_file.is_some() && Url::parse(&point.opa).is_ok_and(|url| !is_private(&url));
    ensure!(
        !is_clear || point.token_over_plain_http,
        "opa: {} would get its token in the clear; use https, or say token_over_plain_http = true",
        point.opa
    );
    let token = point.bundle_token_sha256.as_ref().map(|digest| hex::decode(digest).unwrap_or_default());
    match (point.delivery, token) {
        (Delivery::Data, None) => {}
        (Delivery::Data, Some(_)) => bail!("bundle_token_sha256: only for delivery = \"bundle\""),
        (Delivery::Bundle, token) => {
            ensure!(!bundles.keys.is_empty(), "delivery = \"bundle\" needs a key in [bundles]");
            let is_hash = token.is_some_and(|token| token.len() == 32 && token.iter().any(|byte| *byte != 0));
            ensure!(
                is_hash,
                "bundle_token_sha256: the SHA-256 of the token that it fetches with, 64 hexadecimal digits"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
