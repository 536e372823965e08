//! The default, its commented examples, and what is refused.

use super::*;

const INVENTORY: &str = r#"
    [[systems]]
    id = "cold"
    sources = [{ source = "opa-1", feed = "opa" }]
"#;

fn config() -> Config {
    let credential = Credential {
        system: "cold".into(),
        source: "opa-1".into(),
        feed: "opa".into(),
        token_sha256: vec!["ab".repeat(32)],
        ..Credential::default()
    };
    let point = DecisionPoint {
        system: "cold".into(),
        name: None,
        opa: "http://127.0.0.1:8181".into(),
        token_file: None,
        token_over_plain_http: false,
        control_file: "control.json".into(),
        control_signs_never: false,
        delivery: Delivery::Data,
        bundle_token_sha256: None,
    };
    Config { credentials: vec![credential], decision_points: vec![point], ..Config::default() }
}

#[test]
fn the_printed_default_is_the_default() {
    assert_eq!(parse("default", DEFAULT).unwrap(), Config::default());
    let is_field = |line: &str| line.split_once(" = ").is_some_and(|(name, _)| !name.contains(' '));
    let is_example = |line: &str| line.strip_prefix("# ").is_some_and(|line| line.starts_with('[') || is_field(line));
    let examples: Vec<&str> = DEFAULT.lines().filter(|line| is_example(line)).map(|line| &line[2..]).collect();
    let example = parse("examples", &examples.join("\n")).unwrap();
    let lists = [
        example.credentials.len(),
        example.oidc.as_ref().map_or(0, |oidc| oidc.grants.len()),
        example.feeds.len(),
        example.webhooks.len(),
        example.receivers.len(),
        example.heartbeats.len(),
        example.routes.len(),
        example.decision_points.len(),
        example.identity_providers.len(),
        example.signer_freezes.len(),
        example.chains.len(),
        example.intake.topics.len(),
        example.sigstore.as_ref().map_or(0, |sigstore| sigstore.identities.len()),
        example.sigstore.as_ref().map_or(0, |sigstore| sigstore.keys.len()),
    ];
    assert_eq!(lists, [2, 2, 1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 1, 1], "the commented examples can be taken as they are");
}

#[test]
fn two_systems_do_not_share_a_decision_point_since_it_holds_one_document() {
    let two =
        "[[systems]]\nid = \"hot\"\n[[systems]]\nid = \"cold\"\nsources = [{ source = \"opa-1\", feed = \"opa\" }]";
    let inventory = Inventory::parse("i.toml", two).unwrap();
    let with = |opa: &str| {
        let mut config = config();
        let cold = config.decision_points[0].clone();
        config.decision_points.push(DecisionPoint { system: "hot".into(), opa: opa.into(), ..cold });
        check(&config, &inventory)
    };
    assert!(with("http://127.0.0.1:8182").is_ok());
    for same in ["http://127.0.0.1:8181", "http://127.0.0.1:8181/"] {
        let problem = format!("{:#}", with(same).unwrap_err());
        assert!(problem.contains("the decision point of system `cold` already"), "{problem}");
    }
}

type Spoil = fn(&mut Config);

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let inventory = Inventory::parse("i.toml", INVENTORY).unwrap();
    assert!(check(&config(), &inventory).is_ok());
    let cases: [(Spoil, &str); 10] = [
        (
            |c| {
                c.decision_points[0].opa = "http://10.0.0.11:8181".into();
                c.decision_points[0].token_file = Some("opa.token".into());
            },
            "its token in the clear",
        ),
        (|c| c.decision_points.push(c.decision_points[0].clone()), "has http://127.0.0.1:8181 already"),
        (|c| c.decision_points[0].delivery = Delivery::Bundle, "needs a key in [bundles]"),
        (|c| c.server.listen = ([0, 0, 0, 0], 1).into(), "beyond_loopback"),
        (|c| c.decision_points[0].system = "hot".into(), "decision_points[0]"),
        (|c| c.credentials[0].system = "hot".into(), "it has cold"),
        (|c| c.credentials[0].source = "opa-2".into(), "it has opa-1"),
        (|c| c.credentials[0].feed = "safe".into(), "read by `opa`"),
        (|c| c.credentials[0].feed = "nonsense".into(), "there is no feed `nonsense`"),
        (|c| c.credentials.push(c.credentials[0].clone()), "used twice"),
    ];
    for (spoil, expected) in cases {
        let mut config = config();
        spoil(&mut config);
        let error = format!("{:#}", check(&config, &inventory).unwrap_err());
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_wallet_that_may_be_a_private_key_is_refused_and_not_shown() {
    let key = "ab".repeat(32);
    for (chain, is_refused) in [("ethereum", true), ("Base", true), ("bitcoin", true), ("aptos", false)] {
        let declared = format!("{INVENTORY}\n[[systems.wallets]]\nwallet = \"0x{key}\"\nchain = \"{chain}\"\n");
        let checked = check(&config(), &Inventory::parse("i.toml", &declared).unwrap());
        assert_eq!(checked.is_err(), is_refused, "{chain}");
        let error = checked.err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(error.is_empty() || (error.contains("of `wallets` is no address") && !error.contains(&key)), "{error}");
    }
}

#[test]
fn an_address_beyond_this_machine_needs_tls_or_a_word() {
    let inventory = Inventory::parse("i.toml", INVENTORY).unwrap();
    let tls = Tls { certificate_file: "c".into(), key_file: "k".into(), client_ca_file: None };
    let server = Server { listen: ([0, 0, 0, 0], 1).into(), tls: Some(tls), ..Server::default() };
    assert!(check(&Config { server, ..config() }, &inventory).is_ok());
}

#[test]
fn an_unknown_field_is_an_error_with_its_line() {
    let error = parse("keywatch.toml", "data = \"d\"\n[server]\nlisten_on = 1\n").unwrap_err().to_string();
    assert!(error.starts_with("keywatch.toml: ") && error.contains("line 3") && error.contains("listen_on"), "{error}");
}

#[test]
fn the_command_line_goes_over_the_file_and_paths_are_meant_from_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keywatch.toml");
    let credential = "[[credentials]]\nsystem='cold'\nsource='opa-1'\nfeed='opa'\n";
    std::fs::write(&file, format!("{credential}token_sha256='{}'", "ab".repeat(32))).unwrap();
    std::fs::write(directory.path().join("inventory.toml"), INVENTORY).unwrap();
    let overrides = Overrides { listen: Some(([127, 0, 0, 1], 9).into()), ..Overrides::default() };
    let (config, inventory) = load(&file, &overrides).unwrap();
    assert_eq!(config.server.listen.port(), 9);
    assert_eq!(config.data, directory.path().join("keywatch-data"));
    assert_eq!(inventory.systems[0].id, "cold");
    let error = format!("{:#}", load(&directory.path().join("none.toml"), &overrides).unwrap_err());
    assert!(error.contains("--print-config"), "{error}");
}
