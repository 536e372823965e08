//! Pullers as the configuration names them: what stands there is checked, and each list becomes a task.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use keywatch_ingest::chain::address::checksummed;
use keywatch_ingest::feeds;
use keywatch_ingest::signature::token::Expected;
use keywatch_ingest::signature::{Algorithm, Keys};
use keywatch_store::event::Origin;
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Inventory, Log};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::azure_blob::AzureBlob;
use super::bucket::Bucket;
use super::caep::Caep;
use super::canary::{self, canaries};
use super::cursor::{Cursor, Place, restored};
use super::okta::Okta;
use super::opa::Opa;
use super::opa_state::OpaState;
use super::puller::{Pull, Puller};
use super::s3::S3;
use super::safe::Safe;
use super::safe_modules::SafeModules;
use super::service::Service;
use super::sink::Sink;
use super::trail::Trail;
use crate::clock;
use crate::service::config::pull::{self, Kind};
use crate::service::intake::Intake;

/// Starts what pulls each source of the configuration, beside the tasks that there are; each ends in order when `stopping`
/// becomes true.
///
/// # Errors
/// A key file or the log cannot be read.
pub(crate) fn pullers(
    configured: &[pull::Pull],
    (log, intake): (&Arc<dyn Log>, &Arc<Intake>),
    stopping: &watch::Receiver<bool>,
    tasks: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let mut wanted = BTreeSet::new();
    for one in configured {
        let streams = streams(one, &intake.inventory.now()).with_context(|| place(one))?;
        wanted.extend(streams.into_iter().map(|stream| (one.system.clone(), one.source.clone(), stream)));
    }
    let cursors = restored(log.as_ref(), &wanted)?;
    for one in configured {
        start(one, (&cursors, intake), stopping, tasks).with_context(|| place(one))?;
    }
    Ok(())
}

/// What the lists of a source are called in its cursors.
fn streams(configured: &pull::Pull, inventory: &Inventory) -> anyhow::Result<Vec<String>> {
    let name = configured.kind.name();
    if configured.kind != Kind::SafeTransactionService {
        return Ok(vec![name.to_owned()]);
    }
    let own = wallets(configured, inventory)?;
    Ok(own.iter().flat_map(|wallet| [of_wallet(name, wallet), of_modules(name, wallet)]).collect())
}

fn of_wallet(name: &str, wallet: &str) -> String {
    format!("{name}/{wallet}")
}

fn of_modules(name: &str, wallet: &str) -> String {
    format!("{name}/modules/{wallet}")
}

fn place(configured: &pull::Pull) -> String {
    format!("pull (source `{}`)", configured.source)
}

fn start(
    configured: &pull::Pull,
    into: (&BTreeMap<Place, Cursor>, &Arc<Intake>),
    stopping: &watch::Receiver<bool>,
    tasks: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let name = configured.kind.name();
    let overlap_nanoseconds = i64::try_from(configured.overlap_seconds)?.saturating_mul(SECOND_NS);
    match configured.kind {
        Kind::OktaSystemLog => {
            let service = service(configured, "SSWS")?;
            let list = Okta { service, start: configured.start, overlap_nanoseconds };
            spawn(list, name.to_owned(), configured, into, stopping, tasks)
        }
        Kind::CaepPoll => {
            let list = Caep { service: service(configured, "Bearer")?, expected: expected(configured)? };
            spawn(list, name.to_owned(), configured, into, stopping, tasks)
        }
        Kind::OpaStatus => {
            spawn(Opa { service: service(configured, "Bearer")? }, name.to_owned(), configured, into, stopping, tasks)
        }
        Kind::OpaState => {
            let service = service(configured, "Bearer")?;
            let origin = Origin { system: configured.system.clone(), source: configured.source.clone() };
            let (expected_file, canaries) = (configured.expected_file.clone(), canaries(&configured.canaries)?);
            let list = OpaState { service, origin, expected_file, canaries, metrics: Arc::clone(&into.1.metrics) };
            spawn(list, name.to_owned(), configured, into, stopping, tasks)
        }
        Kind::SafeTransactionService => {
            for wallet in wallets(configured, &into.1.inventory.now())? {
                let modules = SafeModules::new(service(configured, "Bearer")?, wallet.clone(), overlap_nanoseconds);
                spawn(modules, of_modules(name, &wallet), configured, into, stopping, tasks)?;
                let stream = of_wallet(name, &wallet);
                let service = service(configured, "Bearer")?;
                let list = Safe { service, wallet, start: configured.start, overlap_nanoseconds };
                spawn(list, stream, configured, into, stopping, tasks)?;
            }
            Ok(())
        }
        Kind::CloudtrailDirectory | Kind::CloudtrailS3 => {
            let bucket = bucket(configured)?;
            let origin = Origin { system: configured.system.clone(), source: configured.source.clone() };
            let keys = configured.keys_file.clone().context("keys_file: names no file")?;
            let list = Trail::new(bucket, keys, origin, configured.start, overlap_nanoseconds)?;
            spawn(list, name.to_owned(), configured, into, stopping, tasks)
        }
        Kind::GcpAuditGcs | Kind::AzureBlob | Kind::EntraBlob => {
            let list = Sink::new(bucket(configured)?, configured.start, overlap_nanoseconds);
            spawn(list, name.to_owned(), configured, into, stopping, tasks)
        }
    }
}

fn bucket(configured: &pull::Pull) -> anyhow::Result<Bucket> {
    if configured.kind == Kind::CloudtrailDirectory {
        return Ok(Bucket::Directory(configured.directory.clone().context("directory: names none")?));
    }
    let keys = configured.token_file.as_deref().context("token_file: names no file")?;
    if matches!(configured.kind, Kind::AzureBlob | Kind::EntraBlob) {
        return Ok(Bucket::Azure(AzureBlob::new(&configured.url, keys, configured.allow_plain_http)?));
    }
    // Cloud Storage takes what is signed for any place.
    let anywhere = (configured.kind == Kind::GcpAuditGcs).then_some("auto");
    let region = configured.region.as_deref().or(anywhere).context("region: names none")?;
    Ok(Bucket::S3(S3::new(&configured.url, region, keys, configured.allow_plain_http)?))
}

fn spawn<P: Pull>(
    list: P,
    stream: String,
    configured: &pull::Pull,
    into: (&BTreeMap<Place, Cursor>, &Arc<Intake>),
    stopping: &watch::Receiver<bool>,
    tasks: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let (cursors, intake) = into;
    let origin = Origin { system: configured.system.clone(), source: configured.source.clone() };
    let poll = Duration::from_secs(configured.poll_seconds);
    let feed = feeds::find(configured.kind.feed())?;
    // Until it answers, the start stands for it, as for those that send.
    let labels = [origin.system.as_str(), origin.source.as_str(), feed.name()];
    intake.metrics.source_last.with_label_values(&labels).set(clock::now().unix_seconds());
    intake.metrics.ingest_rejects.with_label_values(&labels);
    let place = (origin.system.clone(), origin.source.clone(), stream.clone());
    let cursor = cursors.get(&place).cloned().unwrap_or_default();
    let puller = Puller::open(list, feed, (origin, stream), poll, cursor, Arc::clone(intake));
    tasks.spawn(puller.run(stopping.clone()));
    Ok(())
}

fn service(configured: &pull::Pull, scheme: &'static str) -> anyhow::Result<Service> {
    Service::new(&configured.url, configured.token_file.clone(), scheme, configured.allow_plain_http)
}

fn expected(configured: &pull::Pull) -> anyhow::Result<Expected> {
    let file = configured.keys_file.as_ref().context("keys_file: names no file")?;
    let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let keys = Keys::parse(&text).with_context(|| file.display().to_string())?;
    let algorithms = configured.algorithms.iter().filter_map(|name| Algorithm::named(name)).collect();
    let (issuer, audience) = (configured.issuer.clone(), configured.audience.clone());
    let (issuer, audience) = (issuer.unwrap_or_default(), audience.unwrap_or_default());
    Ok(Expected { keys, algorithms, issuer, audience })
}

/// The Safes of the system on the chain that the service is of, written as the service wants them.
fn wallets(configured: &pull::Pull, inventory: &Inventory) -> anyhow::Result<Vec<String>> {
    let chain = configured.chain.as_deref().unwrap_or_default();
    let system = inventory.system(&configured.system).context("system: the inventory has none of that name")?;
    let on_chain = |wallet: &&keywatch_store::inventory::Wallet| {
        wallet.technology == "safe" && wallet.chain.eq_ignore_ascii_case(chain)
    };
    let own = system.wallets.iter().filter(on_chain);
    let address = |wallet: &keywatch_store::inventory::Wallet| {
        checksummed(&wallet.wallet).with_context(|| format!("wallet `{}` is no address", wallet.wallet))
    };
    let own: Vec<String> = own.map(address).collect::<anyhow::Result<_>>()?;
    ensure!(!own.is_empty(), "chain: the inventory has no wallet with technology = \"safe\" on `{chain}`");
    Ok(own)
}

/// Checks what is pulled against the inventory.
///
/// # Errors
/// Each names the field and what to write instead.
pub(crate) fn check(configured: &[pull::Pull], inventory: &Inventory) -> anyhow::Result<()> {
    for (index, one) in configured.iter().enumerate() {
        let place = || format!("pull[{index}] (source `{}`)", one.source);
        check_one(one, inventory).with_context(place)?;
        let same = |other: &pull::Pull| (&other.system, &other.source) == (&one.system, &one.source);
        ensure!(!configured[..index].iter().any(same), "{}: each needs a source of its own", place());
    }
    Ok(())
}

fn check_one(one: &pull::Pull, inventory: &Inventory) -> anyhow::Result<()> {
    let Some(system) = inventory.system(&one.system) else {
        bail!("system: the inventory has no `{}`", one.system);
    };
    let declared = system.sources.iter().find(|source| source.source == one.source);
    let Some(declared) = declared else { bail!("source: the inventory's system has none of that name") };
    let feed = one.kind.feed();
    ensure!(
        declared.feed == feed,
        "source: the inventory says that `{}` reads it; write feed = \"{feed}\"",
        declared.feed
    );
    ensure!((1..=3600).contains(&one.poll_seconds), "poll_seconds: 1 to 3600");
    ensure!(one.overlap_seconds <= 86_400, "overlap_seconds: a day at most, 86400");
    let is_state = one.kind == Kind::OpaState;
    let is_of_state = one.expected_file.is_some() || !one.canaries.is_empty();
    ensure!(is_state || !is_of_state, "expected_file, canaries: only for kind = \"opa_state\"");
    canary::check(&one.canaries)?;
    if matches!(one.kind, Kind::CloudtrailDirectory | Kind::CloudtrailS3) {
        return check_trail(one);
    }
    if matches!(one.kind, Kind::GcpAuditGcs | Kind::AzureBlob | Kind::EntraBlob) {
        return check_sink(one);
    }
    ensure!(one.region.is_none(), "region: only for kind = \"cloudtrail_s3\"");
    ensure!(one.directory.is_none(), "directory: only for kind = \"cloudtrail_directory\"");
    let is_of_caep =
        [one.keys_file.is_some(), !one.algorithms.is_empty(), one.issuer.is_some(), one.audience.is_some()];
    let caep = "keys_file, algorithms, issuer and audience";
    if one.kind == Kind::CaepPoll {
        ensure!(
            is_of_caep.iter().all(|given| *given),
            "{caep}: all of them are needed, so that no token is believed unproved"
        );
        let unknown = one.algorithms.iter().find(|name| Algorithm::named(name).is_none());
        ensure!(unknown.is_none(), "algorithms: `{}` is not supported", unknown.map_or("", String::as_str));
    } else {
        ensure!(!is_of_caep.contains(&true), "{caep}: only for kind = \"caep_poll\"");
    }
    match one.kind {
        Kind::SafeTransactionService => wallets(one, inventory).map(drop)?,
        _ => ensure!(one.chain.is_none(), "chain: only for kind = \"safe_transaction_service\""),
    }
    let needs_token = matches!(one.kind, Kind::OktaSystemLog | Kind::CaepPoll);
    ensure!(!needs_token || one.token_file.is_some(), "token_file: the service asks for a token");
    service(one, "Bearer").map(drop)
}

/// A directory is nobody that is asked: it has no address and no token.
fn check_trail(one: &pull::Pull) -> anyhow::Result<()> {
    ensure!(one.keys_file.is_some(), "keys_file: name the file with what `aws cloudtrail list-public-keys` prints");
    ensure!(one.chain.is_none() && one.algorithms.is_empty(), "chain, algorithms: not for a trail");
    if one.kind == Kind::CloudtrailDirectory {
        ensure!(one.directory.is_some(), "directory: name the one that is a copy of the trail's bucket");
        let asks = !one.url.is_empty() || one.token_file.is_some() || one.region.is_some();
        ensure!(!asks, "url, token_file and region: not for kind = \"cloudtrail_directory\"");
    } else {
        ensure!(one.directory.is_none(), "directory: only for kind = \"cloudtrail_directory\"");
        ensure!(one.token_file.is_some(), "token_file: name the file with access_key_id and secret_access_key");
        ensure!(one.region.is_some(), "region: name the one that the bucket is in");
    }
    bucket(one).map(drop)
}

/// Nobody signs what a log sink writes, so there are no keys to check it with.
fn check_sink(one: &pull::Pull) -> anyhow::Result<()> {
    let is_azure = one.kind != Kind::GcpAuditGcs;
    let holds =
        if is_azure { "a shared access signature" } else { "access_key_id and secret_access_key of an HMAC key" };
    ensure!(one.token_file.is_some(), "token_file: name the file with {holds}");
    ensure!(!is_azure || one.region.is_none(), "region: not for a container of Azure");
    ensure!(one.directory.is_none(), "directory: only for kind = \"cloudtrail_directory\"");
    let has_keys = one.keys_file.is_some() || !one.algorithms.is_empty() || one.issuer.is_some();
    ensure!(
        !has_keys && one.chain.is_none(),
        "keys_file, algorithms, issuer and chain: not for the bucket of a log sink"
    );
    bucket(one).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVENTORY: &str = r#"
        [[systems]]
        id = "cold"
        sources = [{ source = "okta", feed = "okta" }, { source = "idp", feed = "ssf" }, { source = "safe", feed = "safe" },
            { source = "trail", feed = "cloudtrail" }, { source = "sink", feed = "gcp_audit" },
            { source = "vault", feed = "azure" }]
        [[systems.wallets]]
        wallet = "0x1db92e2eebc8e0c075a02bea49a2935bcd2dfcf4"
        chain = "ethereum"
        temperature = "cold"
        technology = "safe"
        threshold = 3
    "#;

    fn configured(text: &str) -> Vec<pull::Pull> {
        #[derive(serde::Deserialize)]
        struct File {
            pull: Vec<pull::Pull>,
        }
        toml::from_str::<File>(text).unwrap().pull
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let inventory = Inventory::parse("i.toml", INVENTORY).unwrap();
        let okta = "[[pull]]\nsystem = 'cold'\nsource = 'okta'\nkind = 'okta_system_log'\nurl = 'https://o.example'\n";
        let caep = "[[pull]]\nsystem = 'cold'\nsource = 'idp'\nkind = 'caep_poll'\nurl = 'https://i.example/poll'\n";
        let safe = "[[pull]]\nsystem = 'cold'\nsource = 'safe'\nkind = 'safe_transaction_service'\nurl = 'https://s.example'\n";
        let token = "token_file = 't'\n";
        let keys = "keys_file = 'k'\nalgorithms = ['ES256']\nissuer = 'i'\naudience = 'a'\n";
        let trail = "[[pull]]\nsystem = 'cold'\nsource = 'trail'\nkind = 'cloudtrail_directory'\ndirectory = 'd'\n";
        let bucket = "[[pull]]\nsystem = 'cold'\nsource = 'trail'\nkind = 'cloudtrail_s3'\nurl = 'https://b.example'\n";
        let trail_keys = "keys_file = 'k'\n";
        let sink = "[[pull]]\nsystem = 'cold'\nsource = 'sink'\nkind = 'gcp_audit_gcs'\nurl = 'https://s.example/b'\n";
        let good =
            format!("{okta}{token}{caep}{token}{keys}{safe}chain = 'ethereum'\n{trail}{trail_keys}{sink}{token}");
        check(&configured(&good), &inventory).unwrap();
        for (text, expected) in [
            (okta.to_owned(), "token_file"),
            (format!("{okta}{token}poll_seconds = 0\n"), "poll_seconds: 1 to 3600"),
            (format!("{okta}{token}{keys}"), "only for kind = \"caep_poll\""),
            (format!("{okta}{token}").replace("https", "http"), "has to be https"),
            (format!("{okta}{token}").replace("'okta'", "'idp'"), "write feed = \"okta\""),
            (format!("{okta}{token}").replace("'cold'", "'hot'"), "has no `hot`"),
            (format!("{okta}{token}{okta}{token}"), "a source of its own"),
            (format!("{caep}{token}"), "all of them are needed"),
            (format!("{caep}{token}{keys}").replace("ES256", "none"), "`none` is not supported"),
            (format!("{safe}chain = 'polygon'\n"), "on `polygon`"),
            (trail.to_owned(), "list-public-keys"),
            (format!("{bucket}{trail_keys}{token}"), "region: name the one"),
            (format!("{bucket}{trail_keys}region = 'r'\n"), "access_key_id"),
            (format!("{bucket}{trail_keys}{token}region = 'r'\n").replace("https", "http"), "has to be https"),
            (format!("{trail}{trail_keys}{token}"), "not for kind"),
            (format!("{trail}{trail_keys}").replace("directory = 'd'", ""), "a copy of the trail's bucket"),
            (sink.to_owned(), "of an HMAC key"),
            (sink.replace("gcp_audit_gcs", "azure_blob").replace("'sink'", "'vault'"), "a shared access signature"),
            (format!("{sink}{token}{trail_keys}"), "not for the bucket of a log sink"),
            (format!("{sink}{token}").replace("https", "http"), "has to be https"),
            (format!("{okta}{token}directory = 'd'\n"), "only for kind = \"cloudtrail_directory\""),
        ] {
            let error = format!("{:#}", check(&configured(&text), &inventory).unwrap_err());
            assert!(error.starts_with("pull[") && error.contains(expected), "{error}");
        }
    }
}
