//! The compose files and what they mount: true without an engine to run them on. The very configuration is served by the
//! built binary, every file that is mounted is there, and versions agree with `.ci/versions`. The topology on Kafka runs as
//! plain processes in `topology`.

use std::path::Path;

use serde_norway::Value;

use crate::support::serving::Serving;
use crate::support::tools::version;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn compose() -> Value {
    read("docker-compose.yml")
}

/// The topology on Kafka.
pub(crate) fn on_kafka() -> Value {
    read("docker-compose.kafka.yml")
}

fn read(file: &str) -> Value {
    let text = std::fs::read_to_string(root().join(file)).unwrap();
    let mut read: Value = serde_norway::from_str(&text).unwrap();
    // What is merged may have something merged into it: once for each level.
    for _ in 0..2 {
        read.apply_merge().unwrap();
    }
    read
}

pub(crate) fn texts(list: &Value) -> Vec<String> {
    list.as_sequence()
        .map(|list| list.iter().map(|text| text.as_str().unwrap().to_owned()).collect())
        .unwrap_or_default()
}

/// Its services, by name.
fn services(compose: &Value) -> Vec<(&str, &Value)> {
    let services = compose["services"].as_mapping().unwrap();
    services.iter().map(|(name, service)| (name.as_str().unwrap(), service)).collect()
}

/// The words of a service that this tree uses, all of them of the Compose specification.
const WORDS: [&str; 18] = [
    "build",
    "cap_drop",
    "command",
    "depends_on",
    "environment",
    "healthcheck",
    "hostname",
    "image",
    "network_mode",
    "ports",
    "profiles",
    "read_only",
    "restart",
    "secrets",
    "security_opt",
    "tmpfs",
    "user",
    "volumes",
];

#[test]
fn every_mounted_file_is_in_the_tree_and_every_port_stays_on_this_machine() {
    for compose in [compose(), on_kafka()] {
        for (name, service) in services(&compose) {
            for word in service.as_mapping().unwrap().keys() {
                assert!(WORDS.contains(&word.as_str().unwrap()), "{name}: {word:?} is no word of a service");
            }
            for volume in texts(&service["volumes"]) {
                let source = volume.split(':').next().unwrap();
                assert!(!source.starts_with('.') || root().join(source).exists(), "{name}: {source}");
                assert!(source.starts_with('.') || compose["volumes"].get(source).is_some(), "{name}: {source}");
            }
            for port in texts(&service["ports"]) {
                assert!(port.starts_with("127.0.0.1:"), "{name} publishes {port} beyond this machine");
            }
        }
    }
}

#[test]
fn every_container_on_kafka_has_little_it_may_do_and_says_how_it_is() {
    let compose = on_kafka();
    for (name, service) in services(&compose) {
        let image = service["image"].as_str().unwrap();
        let version = image.rsplit(':').next().unwrap();
        let is_pinned = version.starts_with('v') || version.chars().next().is_some_and(|first| first.is_ascii_digit());
        assert!(is_pinned || image == "keywatch:local", "{name}: {image}");
        let user = service["user"].as_str().unwrap();
        assert!(!user.starts_with('0') && user != "root", "{name} runs as {user}");
        assert_eq!(service["read_only"].as_bool(), Some(true), "{name}");
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(texts(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        let is_passing = !texts(&service["profiles"]).is_empty();
        assert!(is_passing || service["healthcheck"]["test"].is_sequence(), "{name} does not say how it is");
        // Who made the secrets there may have the id of this container's user.
        let sees_secrets = texts(&service["volumes"]).iter().any(|volume| volume.starts_with("./dashboards/compose:"));
        assert!(!sees_secrets || image == "keywatch:local", "{name} sees more secrets than its own");
        for secret in texts(&service["secrets"]) {
            let file = compose["secrets"][secret.as_str()]["file"].as_str();
            assert_eq!(file, Some(format!("dashboards/compose/kafka/secrets/{secret}").as_str()), "{name}");
        }
        for upstream in service["depends_on"].as_mapping().into_iter().flat_map(serde_norway::Mapping::keys) {
            assert!(compose["services"].get(upstream).is_some(), "{name} waits for {upstream:?}");
        }
    }
}

#[test]
fn the_secrets_of_the_topology_are_made_once_and_for_their_owner() {
    let directory = tempfile::tempdir().unwrap();
    let made = |secrets: &Path| {
        let script = root().join("dashboards/compose/kafka/secrets.sh");
        assert!(std::process::Command::new("sh").arg(script).arg(secrets).status().unwrap().success());
        let names = on_kafka()["secrets"].as_mapping().unwrap().keys().cloned().collect::<Vec<_>>();
        names.iter().map(|name| std::fs::read(secrets.join(name.as_str().unwrap())).unwrap()).collect::<Vec<_>>()
    };
    let [one, other] = ["one", "other"].map(|name| directory.path().join(name));
    let first = made(&one);
    assert_eq!(made(&one), first, "what is there stays");
    assert_ne!(made(&other), first, "keys are drawn");
    assert!(first.iter().all(|secret| !secret.is_empty()));
}

#[test]
fn opa_is_the_one_that_tests_run_against() {
    let pinned = version("OPA_VERSION").strip_prefix('v').unwrap();
    for compose in [compose(), on_kafka()] {
        let image = compose["services"]["opa"]["image"].as_str().unwrap();
        assert_eq!(image, format!("openpolicyagent/opa:{pinned}"));
    }
}

#[test]
fn kafka_is_the_one_that_tests_run_against_and_keywatch_knows_where_it_is() {
    let (compose, pinned) = (on_kafka(), version("KAFKA_VERSION"));
    let brokers: Vec<String> = (1..=3)
        .map(|number| {
            let broker = &compose["services"][format!("kafka-{number}").as_str()];
            assert_eq!(broker["image"].as_str().unwrap(), format!("apache/kafka:{pinned}"));
            let tmpfs = texts(&broker["tmpfs"]);
            assert!(tmpfs.contains(&"/tmp:exec".to_owned()), "it could not load the library of zstd: {tmpfs:?}");
            let advertised = broker["environment"]["KAFKA_ADVERTISED_LISTENERS"].as_str().unwrap();
            advertised.strip_prefix("PLAINTEXT://").unwrap().to_owned()
        })
        .collect();
    let named = format!("kafka = \"{}\"", brokers.join(","));
    for file in ["ingest.toml", "evaluate.toml"] {
        let configuration = std::fs::read_to_string(root().join("dashboards/compose/kafka").join(file)).unwrap();
        assert!(configuration.contains(&named), "{configuration}");
    }
}

#[test]
fn prometheus_scrapes_where_keywatch_listens() {
    let listen = compose()["services"]["keywatch"]["environment"]["KEYWATCH_LISTEN"].as_str().unwrap().to_owned();
    let port = listen.rsplit(':').next().unwrap();
    let scrape = std::fs::read_to_string(root().join("dashboards/prometheus/prometheus.yml")).unwrap();
    assert!(scrape.contains(&format!("keywatch:{port}")), "{scrape}");
    let scrape = std::fs::read_to_string(root().join("dashboards/compose/kafka/prometheus.yml")).unwrap();
    for role in ["ingest", "evaluate"] {
        let listen = on_kafka()["services"][role]["environment"]["KEYWATCH_LISTEN"].as_str().unwrap().to_owned();
        assert!(scrape.contains(&format!("{role}:{}", listen.rsplit(':').next().unwrap())), "{scrape}");
    }
}

#[test]
fn the_configuration_is_one_that_keywatch_serves() {
    let directory = tempfile::tempdir().unwrap();
    let config = root().join("dashboards/compose/keywatch.toml");
    let arguments = ["--config", config.to_str().unwrap(), "--listen", "127.0.0.1:0", "--data", "log"];
    let keywatch = Serving::start(directory.path(), &arguments);
    assert!(keywatch.url.starts_with("http://127.0.0.1:"), "{}", keywatch.url);
    assert!(keywatch.stop().success());
}
