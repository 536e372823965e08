//! `docker-compose.yml` and what it mounts: true without an engine to run it on. The very configuration is served by the
//! built binary, every file it mounts is there, and versions agree with `.ci/versions`.

use std::path::Path;

use serde_norway::Value;

use crate::support::serving::Serving;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn compose() -> Value {
    let text = std::fs::read_to_string(root().join("docker-compose.yml")).unwrap();
    serde_norway::from_str(&text).unwrap()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_sequence()
        .map(|list| list.iter().map(|text| text.as_str().unwrap().to_owned()).collect())
        .unwrap_or_default()
}

#[test]
fn every_mounted_file_is_in_the_tree_and_every_port_stays_on_this_machine() {
    let compose = compose();
    for (name, service) in compose["services"].as_mapping().unwrap() {
        for volume in texts(&service["volumes"]) {
            let source = volume.split(':').next().unwrap();
            assert!(!source.starts_with('.') || root().join(source).exists(), "{name:?}: {source}");
        }
        for port in texts(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name:?} publishes {port} beyond this machine");
        }
    }
}

#[test]
fn opa_is_the_one_that_tests_run_against() {
    let image = compose()["services"]["opa"]["image"].as_str().unwrap().to_owned();
    let pinned = include_str!("../.ci/versions").lines().find_map(|line| line.strip_prefix("OPA_VERSION=v")).unwrap();
    assert_eq!(image, format!("openpolicyagent/opa:{pinned}"));
}

#[test]
fn prometheus_scrapes_where_keywatch_listens() {
    let listen = compose()["services"]["keywatch"]["environment"]["KEYWATCH_LISTEN"].as_str().unwrap().to_owned();
    let port = listen.rsplit(':').next().unwrap();
    let scrape = std::fs::read_to_string(root().join("dashboards/prometheus/prometheus.yml")).unwrap();
    assert!(scrape.contains(&format!("keywatch:{port}")), "{scrape}");
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
