//! What the configuration says about the outside, made into what alerting works with: receivers of notifications and
//! policy decision points. Reads secret files; sends nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use keywatch_alerting::{EnforcementPoint, PolicyDecisionPoint, Replica, Seal, Sink, Webhook, WebhookSettings};
use keywatch_store::log::embedded::read_key;
use serde_json::Value;

use crate::clock;
use crate::service::bundles::Bundles;
use crate::service::config::{self, Config, Delivery};
use crate::service::receivers;
use crate::service::rotating_token::{RotatingToken, connect};
use crate::service::text_file::read;

/// Every receiver of the configuration.
///
/// # Errors
/// A secret file that cannot be read or holds no secret, an address that is refused.
pub(crate) fn receivers(config: &Config) -> anyhow::Result<Vec<Arc<dyn Sink>>> {
    let webhooks = config.webhooks.iter().map(webhook);
    webhooks.chain(config.receivers.iter().map(receivers::sink)).collect()
}

/// The decision point of each system with all its replicas. What is put there is sealed with the key of the log, which has
/// to be open.
///
/// # Errors
/// A token, control or key file that cannot be read, an address that is none.
pub(crate) fn decision_points(
    config: &Config,
    bundles: &Bundles,
) -> anyhow::Result<BTreeMap<String, EnforcementPoint>> {
    let mut by_system: BTreeMap<&str, Vec<&config::DecisionPoint>> = BTreeMap::new();
    for point in &config.decision_points {
        by_system.entry(&point.system).or_default().push(point);
    }
    let mut points = BTreeMap::new();
    for (system, replicas) in by_system {
        // They agree about the control: the configuration was checked.
        let control = control(replicas[0])?;
        let signs_never = replicas.iter().any(|point| point.control_signs_never);
        let replicas = replicas.into_iter().map(|point| replica(point, bundles)).collect::<anyhow::Result<_>>()?;
        let seal = Seal::new(read_key(&config.log.key_file_in(&config.data))?);
        let point = EnforcementPoint::replicated(replicas, control).sealed_by(seal);
        points.insert(system.to_owned(), if signs_never { point.signing_never() } else { point });
    }
    Ok(points)
}

fn webhook(configured: &config::receiver::Webhook) -> anyhow::Result<Arc<dyn Sink>> {
    let addresses = receivers::address_rules(&configured.allow_networks, configured.allow_plain_http)?;
    let settings = WebhookSettings {
        name: configured.name.clone(),
        url: configured.url.clone(),
        secrets: receivers::secrets(&configured.secret_files)?,
        addresses,
        ..WebhookSettings::default()
    };
    Ok(Arc::new(Webhook::new(settings, Arc::new(clock::now))?))
}

fn replica(point: &config::DecisionPoint, bundles: &Bundles) -> anyhow::Result<Replica> {
    let board = match point.delivery {
        Delivery::Bundle => {
            let board = bundles.board(&point.system).context("a decision point that fetches bundles has a board")?;
            Some(Arc::clone(board))
        }
        Delivery::Data => None,
    };
    let pdp: Arc<dyn PolicyDecisionPoint> = match &point.token_file {
        Some(file) => Arc::new(RotatingToken::new(&point.opa, file, board)?),
        None => Arc::new(connect(&point.opa, None, board.as_ref())?),
    };
    Ok(Replica::new(point.name(), pdp))
}

fn control(point: &config::DecisionPoint) -> anyhow::Result<Value> {
    serde_json::from_str(&read(&point.control_file)?)
        .with_context(|| format!("{} is not JSON", point.control_file.display()))
}
