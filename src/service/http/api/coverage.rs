//! What covers which row of the CCSS: the rules that name it, what each has to see for that, which sources of each system tell
//! of it, which feeds could, and how much each rule sees by what was heard.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Json;
use keywatch_detectors::Rule;
use keywatch_detectors::rule::Need;
use keywatch_ingest::{Feed, feeds};
use keywatch_store::inventory::{System, Wallet};
use serde_json::{Value, json};

use super::{Answer, Api, Caller};

/// `GET /v1/coverage`: of the operator's systems.
pub(super) async fn coverage(State(api): State<Arc<Api>>, Extension(operator): Caller) -> Answer {
    let inventory = api.known.inventory.now();
    let systems: Vec<&System> = inventory.systems.iter().filter(|system| operator.sees(&system.id)).collect();
    let rules = api.known.rules.all();
    let needs: BTreeSet<&Need> = rules.iter().flat_map(|rule| &rule.header.needs).collect();
    Ok(Json(json!({
        "systems": systems.iter().map(|system| system.id.as_str()).collect::<Vec<_>>(),
        "rules": rules.iter().map(|rule| covered(&api, rule, &systems)).collect::<Vec<_>>(),
        "needs": needs.iter().map(|need| filled(&api, need, &systems)).collect::<Vec<_>>(),
    })))
}

fn covered(api: &Api, rule: &Rule, systems: &[&System]) -> Value {
    let sight = |system: &System| {
        let labels = [rule.id.as_str(), system.id.as_str()];
        match api.metrics.rule_coverage.with_label_values(&labels).get() {
            0 => "blind",
            1 => "half blind",
            _ => "sees",
        }
    };
    let sights: BTreeMap<&str, &str> = systems.iter().map(|system| (system.id.as_str(), sight(system))).collect();
    json!({
        "rule": rule.id,
        "severity": rule.header.severity,
        "title": rule.header.title,
        "ccss": rule.header.ccss,
        "needs": rule.header.needs.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "sight": sights,
    })
}

fn filled(api: &Api, need: &Need, systems: &[&System]) -> Value {
    let fills = |kinds: &BTreeSet<&'static str>| kinds.iter().any(|kind| need.is_filled_by(kind));
    let feeds: Vec<&str> = feeds::all().filter(|feed| fills(&feed.makes())).map(Feed::name).collect();
    let sources: BTreeMap<&str, BTreeSet<&str>> = systems
        .iter()
        .map(|system| {
            let own = api.known.sources.iter().filter(|source| source.system == system.id && fills(&source.kinds));
            let declared = system.wallets.iter().map(|wallet| declared(need, wallet)).filter(|name| !name.is_empty());
            (system.id.as_str(), own.map(|source| source.name.as_str()).chain(declared).collect())
        })
        .collect();
    json!({ "need": need.to_string(), "feeds": feeds, "sources": sources })
}

/// The source that the inventory names for it; empty where it names none.
fn declared<'a>(need: &Need, wallet: &'a Wallet) -> &'a str {
    match need {
        Need::Signer => &wallet.signer,
        Need::Node => &wallet.node,
        Need::Ledger => &wallet.ledger,
        Need::DecisionPoint => &wallet.decision_point,
        Need::Kind(_) => "",
    }
}
