//! Bundles of Sigstore from the front door to the rule: what does not verify against the trust file counts as unsigned.

use std::path::Path;

use keywatch_detectors::{Engine, Settings, rule};
use keywatch_store::event::Origin;
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Clock, Event, Finding, Log, Position, Topic};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::command::{err, keywatch};
use crate::support::serving::Serving;
use crate::support::tree;

fn vectors() -> Value {
    let file = tree::root().join("ingest/src/feeds/sigstore/vectors.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// A directory with a trust file, an inventory and a configuration.
fn machine() -> tempfile::TempDir {
    // The provider of the process; a second test finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let here = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(here.path().join(name), text).unwrap();
    let vectors = vectors();
    write("trusted_root.json", &vectors["trusted_root"].to_string());
    write(
        "inventory.toml",
        "[[systems]]\nid = \"cold\"\n[[systems.sources]]\nsource = \"admission\"\nfeed = \"sigstore\"\n",
    );
    let config = format!(
        "[[credentials]]\nsystem = \"cold\"\nsource = \"admission\"\nfeed = \"sigstore\"\ntoken_sha256 = \"{}\"\n\
         [server]\nlisten = \"127.0.0.1:0\"\n[sigstore]\ntrust_file = \"trusted_root.json\"\n\
         [[sigstore.identities]]\nsystem = \"cold\"\nsubject = {}\nissuer = {}\n",
        hex::encode(Sha256::digest("token-of-admission")),
        vectors["subject"],
        vectors["issuer"],
    );
    write("keywatch.toml", &config);
    here
}

/// What is recorded of a result that says `verified`, with this bundle.
async fn recorded(bundle: &Value) -> Vec<Event> {
    recorded_on(&machine(), bundle).await
}

/// What is recorded of it on a machine.
async fn recorded_on(here: &tempfile::TempDir, bundle: &Value) -> Vec<Event> {
    let serving = Serving::start(here.path(), &[]);
    let record = json!({
        "artifact": vectors()["artifact"], "at": "2025-02-21T05:42:40Z", "result": "verified", "bundle": bundle,
    });
    let request = Client::new().post(format!("{}/v1/ingest/sigstore", serving.url)).bearer_auth("token-of-admission");
    let answer = request.body(record.to_string()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(serving.stop().success());
    let log = EmbeddedLog::open(here.path().join("keywatch-data"), Options::new(Clock::Wall)).unwrap();
    let events = log.read(Topic::Events, Position(0), 1000).unwrap();
    events.into_iter().filter(|event| event.source() == "admission" && event.kind() == "control.artifact").collect()
}

/// What the rule finds where the artifact was deployed a minute later.
fn found(checks: Vec<Event>) -> Vec<Finding> {
    assert_eq!(checks.len(), 1);
    let mut events = checks;
    let checked = events[0].event_time();
    let origin = |source: &str| Origin { system: "cold".to_owned(), source: source.to_owned() };
    let mut deploy = Event::builder(&origin("ci"), "deploy", "control.deploy", checked.saturating_add(60 * SECOND_NS));
    deploy.outcome(Some("success".to_owned())).detail(&json!({"artifact": vectors()["artifact"], "target": "signer"}));
    events.push(deploy.build().unwrap());
    let later = checked.saturating_add(86_400 * SECOND_NS);
    events.push(Event::builder(&origin("keywatch"), "tick", "tick", later).build_own());
    for event in &mut events {
        event.set_time(event.event_time());
    }
    let rules = rule::shipped().unwrap().into_iter().filter(|rule| rule.id == "control/artifact_unsigned");
    let rules: Vec<_> = rules.collect();
    let outcome = Engine::new(&rules, &Settings::default()).unwrap().run(Position(0), &events).unwrap();
    assert!(outcome.parked.is_empty());
    outcome.findings.into_iter().map(|decided| decided.finding).collect()
}

#[tokio::test]
async fn a_bundle_that_does_not_verify_leaves_its_artifact_unsigned() {
    let good = vectors()["bundles"]["dsse"].clone();
    let checks = recorded(&good).await;
    assert_eq!(checks[0].detail().value()["verified"], json!(true));
    assert_eq!(found(checks), []);

    let mut forged = good;
    forged["dsseEnvelope"]["signatures"] = vectors()["bundles"]["dsse_p384"]["dsseEnvelope"]["signatures"].clone();
    let findings = found(recorded(&forged).await);
    assert_eq!(findings.len(), 1);
    assert_eq!(
        findings[0].facts["why"],
        "the bundle does not verify: the signature is not of this envelope by the certificate's key"
    );
}

#[tokio::test]
async fn a_bundle_that_a_key_of_ones_own_signed_verifies_against_that_key() {
    let file = tree::root().join("ingest/src/feeds/sigstore/vectors_keys.json");
    let keys: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let of_keys = |key: &str| {
        let here = machine();
        std::fs::write(here.path().join("release.pub"), keys["keys"][key].as_str().unwrap()).unwrap();
        let config = std::fs::read_to_string(here.path().join("keywatch.toml")).unwrap();
        let (config, _) = config.split_once("[sigstore]").unwrap();
        let key = "[[sigstore.keys]]\nname = \"release\"\nsystem = \"cold\"\nfile = \"release.pub\"\n";
        std::fs::write(here.path().join("keywatch.toml"), format!("{config}{key}")).unwrap();
        here
    };
    let bundle = &keys["bundles"]["dsse_unlogged"];
    let checks = recorded_on(&of_keys("p256"), bundle).await;
    let detail = checks[0].detail().value();
    assert_eq!((&detail["verified"], &detail["signer"]), (&json!(true), &json!("key:release")));
    assert_eq!(found(checks), []);

    let findings = found(recorded_on(&of_keys("stranger"), bundle).await);
    assert_eq!(findings.len(), 1);
    assert_eq!(
        findings[0].facts["why"],
        "the bundle does not verify: the signature is not of this envelope by any key that is trusted"
    );
}

#[test]
fn a_trust_file_that_is_none_is_refused_at_the_start() {
    let here = machine();
    let refused = |text: &str, why: &str, here: &Path| {
        std::fs::write(here.join("trusted_root.json"), text).unwrap();
        let done = keywatch(here, &["run"], b"");
        assert_eq!(done.status.code(), Some(2), "{}", err(&done));
        assert!(err(&done).contains(why), "{}", err(&done));
    };
    refused("{}", "trusted_root.json: certificateAuthorities: has nothing that could verify", here.path());
    refused("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "has a broken certificate", here.path());
}
