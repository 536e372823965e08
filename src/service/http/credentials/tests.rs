//! Tokens, kinds and times; signatures are tested over HTTP.

use keywatch_alerting::RefusedBySource;

use super::*;

fn configured(source: &str) -> config::Credential {
    config::Credential { system: "s".into(), source: source.into(), feed: "events".into(), ..Default::default() }
}

fn credentials() -> Credentials {
    let with = |source: &str, tokens: &[&str]| config::Credential {
        token_sha256: tokens.iter().map(|token| hex::encode(Sha256::digest(token))).collect(),
        ..configured(source)
    };
    Credentials::new(&[with("source-one", &["one", "newer"]), with("source-two", &["two"])], &Installed::default())
        .unwrap()
}

fn who<'a>(credentials: &'a Credentials, header: &str) -> Option<&'a Arc<Credential>> {
    credentials.find(&Shown::token(header.as_bytes())?)
}

#[test]
fn only_a_listed_token_is_somebody() {
    for (header, source) in [
        ("Bearer one", Some("source-one")),
        ("Bearer newer", Some("source-one")),
        ("bearer  two ", Some("source-two")),
        ("Bearer three", None),
        ("Bearer ", None),
        ("Bearer", None),
        ("Basic one", None),
        ("one", None),
        ("", None),
    ] {
        let credentials = credentials();
        let found = who(&credentials, header).map(|found| found.origin.source.as_str());
        assert_eq!(found, source, "{header}");
    }
    let long = format!("Bearer {}", "x".repeat(TOKEN_BYTES_MAX + 1));
    assert!(Shown::token(long.as_bytes()).is_none());
}

#[test]
fn what_is_refused_is_nobody_until_it_is_taken_again() {
    let all = credentials();
    let prints = all.prints("s", "source-one");
    assert_eq!((prints.len(), all.prints("s", "source-two").len(), all.prints("t", "source-one").len()), (2, 1, 0));
    let refused = |source: &str| {
        let name = ("s".to_owned(), source.to_owned());
        Arc::new(RefusedBySource::from([(name, prints.clone())]))
    };
    let forged = all.refusing(refused("source-two"));
    for (header, source) in [("Bearer one", "source-one"), ("Bearer newer", "source-one"), ("Bearer two", "source-two")]
    {
        let found = who(&forged, header).map(|found| found.origin.source.as_str());
        assert_eq!(found, Some(source), "a fingerprint of one source that is refused as another's refuses nobody");
    }
    let refusing = all.refusing(refused("source-one"));
    assert!(who(&refusing, "Bearer one").is_none() && who(&refusing, "Bearer newer").is_none());
    assert!(who(&refusing, "Bearer two").is_some(), "another source's");
    assert!(refusing.prints("s", "source-one").is_empty(), "it is refused already");
    // A token beside those that are refused counts, and they do not come back with it.
    let with = config::Credential {
        token_sha256: ["one", "fresh"].map(|token| hex::encode(Sha256::digest(token))).to_vec(),
        ..configured("source-one")
    };
    let renewed = refusing.renewed(&[with], &Installed::default()).unwrap();
    assert!(who(&renewed, "Bearer one").is_none() && who(&renewed, "Bearer fresh").is_some());
    assert!(who(&renewed.refusing(Arc::default()), "Bearer one").is_some());
}

#[test]
fn p8_what_was_signed_stays_known_when_credentials_change() {
    let with = |rate: Option<u32>, sources: &[&str]| {
        let one = |source: &&str| config::Credential {
            token_sha256: vec![hex::encode(Sha256::digest(source))],
            requests_per_second: rate,
            ..configured(source)
        };
        sources.iter().map(one).collect::<Vec<_>>()
    };
    let feeds = Installed::default();
    let first = Credentials::new(&with(None, &["one", "two"]), &feeds).unwrap();
    let before = Arc::clone(&who(&first, "Bearer one").unwrap().of_source);
    // A source that is left out and comes back, under another limit, knows what it had taken.
    let without = first.renewed(&with(None, &["two"]), &feeds).unwrap();
    assert!(who(&without, "Bearer one").is_none() && who(&without, "Bearer two").is_some());
    let same = without.renewed(&with(None, &["one"]), &feeds).unwrap();
    assert!(Arc::ptr_eq(&before, &who(&same, "Bearer one").unwrap().of_source), "turns and replays are the same");
    let slower = same.renewed(&with(Some(5), &["one"]), &feeds).unwrap();
    let after = &who(&slower, "Bearer one").unwrap().of_source;
    assert!(!Arc::ptr_eq(&before, after) && Arc::ptr_eq(&before.replays, &after.replays));
}

#[test]
fn a_file_that_is_not_there_or_holds_no_secret_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("short"), "hunter2").unwrap();
    std::fs::write(path("text"), "not a key set").unwrap();
    let hmac = |name: &str| config::Signature::BodyHmac { header: "x".into(), secret_files: vec![path(name)] };
    let jws = |name: &str| config::Signature::DetachedJws {
        header: "x".into(),
        keys_file: path(name),
        algorithms: vec!["RS512".into()],
    };
    for (signature, said) in [
        (hmac("none"), "cannot read"),
        (hmac("short"), "at least 16 bytes"),
        (jws("text"), "no JSON"),
        (config::Signature::StandardWebhooks { secret_files: vec![path("text")] }, "whsec_"),
    ] {
        let one = config::Credential { signature: Some(signature), ..configured("idp") };
        let error = format!("{:#}", Credentials::new(&[one], &Installed::default()).err().unwrap());
        assert!(error.starts_with("credentials[0] (source `idp`)") && error.contains(said), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn no_two_sources_know_one_secret_in_copies_of_its_file_either() {
    let directory = tempfile::tempdir().unwrap();
    let written = |name: &str, secret: &str| {
        std::fs::write(directory.path().join(name), secret).unwrap();
        directory.path().join(name)
    };
    let secret = "0123456789abcdef0123456789abcdef";
    let (first, copy) = (written("first", secret), written("copy", &format!("{secret}\n")));
    let other = written("other", &secret.replace('0', "7"));
    let with = |source: &str, file: &std::path::Path| {
        let signature = config::Signature::BodyHmac { header: "x".into(), secret_files: vec![file.to_owned()] };
        config::Credential { signature: Some(signature), ..configured(source) }
    };
    let credentials = |file: &std::path::Path| {
        Credentials::new(&[with("source-one", &first), with("source-two", file)], &Installed::default())
    };
    assert!(credentials(&other).is_ok());
    let error = credentials(&copy).err().unwrap().to_string();
    assert!(error.contains("source `source-two`") && error.contains("secret of source `source-one` too"), "{error}");
    assert!(!error.contains(secret), "{error}");
}

#[test]
fn nor_do_they_know_it_in_another_form() {
    let directory = tempfile::tempdir().unwrap();
    let text = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let with = |source: &str, scheme: &str, name: &str, secret: &[u8]| {
        let file = directory.path().join(name);
        std::fs::write(&file, secret).unwrap();
        let secret_files = vec![file];
        let signature = match scheme {
            "webhooks" => config::Signature::StandardWebhooks { secret_files },
            _ => config::Signature::BodyHmac { header: "x".into(), secret_files },
        };
        config::Credential { signature: Some(signature), ..configured(source) }
    };
    let prefixed = format!("whsec_{text}");
    for (scheme, secret, is_taken) in [
        ("hmac", text.to_owned(), false),
        ("hmac", format!("{prefixed}\n"), false),
        ("webhooks", prefixed.clone(), false),
        ("webhooks", prefixed.replace('M', "N"), true),
        ("hmac", text.replace('M', "N"), true),
    ] {
        let one = with("source-one", "webhooks", "one", prefixed.as_bytes());
        let two = with("source-two", scheme, "two", secret.as_bytes());
        assert_eq!(Credentials::new(&[one, two], &Installed::default()).is_ok(), is_taken, "{scheme}: {secret}");
    }
    // One that another source has as it is decoded.
    let encoded = "whsec_YS1zZWNyZXQtb2YtYXQtbGVhc3QtMjQtYnl0ZXM=";
    for (decoded, is_taken) in [("a-secret-of-at-least-24-bytes", false), ("another-secret-of-24-bytes", true)] {
        let one = with("source-one", "webhooks", "one", encoded.as_bytes());
        let two = with("source-two", "hmac", "two", decoded.as_bytes());
        assert_eq!(Credentials::new(&[one, two], &Installed::default()).is_ok(), is_taken, "{decoded}");
    }
}

#[test]
fn p8_kinds_that_are_not_its_own_are_refused_and_so_is_what_a_replay_could_be() {
    let now = Instant::from_unix_seconds(1_740_116_560).unwrap();
    let event = |kind: &str, seconds: i64| {
        let time = now.saturating_add(seconds * SECOND_NS);
        let origin = Origin { system: "s".into(), source: "idp".into() };
        Event::builder(&origin, "1", kind, time).build().unwrap()
    };
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "0123456789abcdef0123456789abcdef").unwrap();
    let signature = config::Signature::BodyHmac { header: "x".into(), secret_files: vec![secret] };
    let signed = config::Credential { signature: Some(signature), ..configured("idp") };
    let token = config::Credential {
        kinds: vec!["session.*".into(), "source.heartbeat".into()],
        token_sha256: vec![hex::encode(Sha256::digest("one"))],
        ..configured("other")
    };
    let credentials = Credentials::new(&[signed, token], &Installed::default()).unwrap().all;
    let week = 7 * 86_400;
    for (credential, kind, seconds, field) in [
        (0, "source.heartbeat", 0, None),
        (0, "source.heartbeat", -SIGNED_WITHOUT_TIME_SECONDS_MAX, None),
        (0, "source.heartbeat", -week, Some("event_time")),
        (0, "source.heartbeat", week, Some("event_time")),
        (1, "source.heartbeat", -week, None),
        (1, "session.revoked", 0, None),
        (1, "source.status", 0, Some("kind")),
    ] {
        let judged = credentials[credential].judge(&event(kind, seconds), now);
        assert_eq!(judged.err().map(|problem| problem.field).as_deref(), field, "{kind} {seconds}");
    }
}
