//! What the configuration says about the outside, made into what alerting works with: destinations of notifications and
//! policy decision points. Reads secret files; sends nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use keywatch_alerting::{EnforcementPoint, OpaPdp, OpaSettings, Secret, Sink, Webhook, WebhookSettings};

use crate::clock;
use crate::service::config::{self, Config};

/// Every webhook of the configuration.
///
/// # Errors
/// A secret file that cannot be read or holds no secret, an address that is refused.
pub(crate) fn webhooks(config: &Config) -> anyhow::Result<Vec<Arc<dyn Sink>>> {
    config.webhooks.iter().map(webhook).collect()
}

/// The decision point of each system.
///
/// # Errors
/// A token or control file that cannot be read, an address that is none.
pub(crate) fn decision_points(config: &Config) -> anyhow::Result<BTreeMap<String, EnforcementPoint>> {
    let site = |point: &config::DecisionPoint| Ok((point.system.clone(), site(point)?));
    config.decision_points.iter().map(site).collect()
}

fn webhook(configured: &config::Webhook) -> anyhow::Result<Arc<dyn Sink>> {
    let secret = |file: &std::path::PathBuf| {
        Secret::parse(&read(file)?).map_err(|problem| anyhow::anyhow!("{}: {problem}", file.display()))
    };
    let settings = WebhookSettings {
        name: configured.name.clone(),
        url: configured.url.clone(),
        secrets: configured.secret_files.iter().map(secret).collect::<anyhow::Result<_>>()?,
        allow_plain_http: configured.allow_plain_http,
    };
    Ok(Arc::new(Webhook::new(settings, Arc::new(clock::now))?))
}

fn site(point: &config::DecisionPoint) -> anyhow::Result<EnforcementPoint> {
    let token = point.token_file.as_deref().map(read).transpose()?.map(|token| token.trim().to_owned());
    let pdp = OpaPdp::new(&OpaSettings { url: point.opa.clone(), token })?;
    let control = serde_json::from_str(&read(&point.control_file)?)
        .with_context(|| format!("{} is not JSON", point.control_file.display()))?;
    Ok(EnforcementPoint::new(Arc::new(pdp), control))
}

fn read(file: &Path) -> anyhow::Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
