//! OAUTHBEARER: every client shows a token, and one that has none says why. The broker is Kafka's own validator of tokens
//! without a signature, which looks at who they name and when they expire.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keywatch_store::log::kafka::{
    IntakeSettings, IntakeTopics, KafkaLog, Producer, Settings, Token, TokenSource, check_topics,
};
use keywatch_store::{Clock, Instant, Log, LogWriter, Position, Topic, Written};

use super::foreign::{create, write};
use super::{open, settings, standing};
use crate::incidents::recording::bybit;
use crate::support::kafka::{Broker, prefix, tool};

/// A broker whose second listener wants tokens.
fn start() -> Broker {
    Broker::start(|_, port| {
        [
            "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT",
            &format!(
                "listeners=PLAINTEXT://127.0.0.1:{{plain}},SASL_PLAINTEXT://127.0.0.1:{port},\
                 CONTROLLER://127.0.0.1:{{controller}}"
            ),
            &format!("advertised.listeners=PLAINTEXT://127.0.0.1:{{plain}},SASL_PLAINTEXT://127.0.0.1:{port}"),
            "inter.broker.listener.name=PLAINTEXT",
            "sasl.enabled.mechanisms=OAUTHBEARER",
            "listener.name.sasl_plaintext.oauthbearer.sasl.jaas.config=\
             org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
             unsecuredLoginStringClaim_sub=\"broker\";",
        ]
        .join("\n")
    })
}

/// A token without a signature that lasts an hour, counted when it is given.
fn tokens(given: &Arc<AtomicU32>) -> TokenSource {
    let given = Arc::clone(given);
    TokenSource::new(move || {
        given.fetch_add(1, Ordering::Relaxed);
        let now = std::time::UNIX_EPOCH.elapsed().map_err(|error| error.to_string())?.as_secs();
        let claims = format!(r#"{{"sub":"keywatch","iat":{now},"exp":{}}}"#, now + 3600);
        let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let expires = Instant(i64::try_from(now + 3600).unwrap() * 1_000_000_000);
        let value = format!("{}.{}.", part(r#"{"alg":"none"}"#), part(&claims));
        Ok(Token { value, principal: "keywatch".to_owned(), expires })
    })
}

fn client() -> BTreeMap<String, String> {
    [("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", "OAUTHBEARER")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn with_tokens(plain: &Settings, broker: &Broker, tokens: TokenSource) -> Settings {
    Settings {
        brokers: broker.secured_address(),
        create_topics: false,
        client: client(),
        tokens: Some(tokens),
        ..plain.clone()
    }
}

#[test]
fn p8_every_client_of_the_log_shows_a_token() {
    let (broker, directory) = (start(), tempfile::tempdir().unwrap());
    let plain = settings(&broker, &prefix(), Clock::Wall, directory.path());
    let given = Arc::new(AtomicU32::new(0));
    let settings = with_tokens(&plain, &broker, tokens(&given));
    // What is not there is said together with the command that makes it as it has to be.
    for topic in Topic::ALL {
        let absent = KafkaLog::open(&settings, 0, &directory.path().join("absent")).unwrap_err().to_string();
        let (said, command) = absent.split_once(": kafka-topics ").unwrap_or_else(|| panic!("no command: {absent}"));
        assert!(said.contains(&settings.topic(topic)) && said.ends_with("with OAUTHBEARER"), "{said}");
        let address = broker.address();
        let arguments = ["--bootstrap-server", address.as_str()].into_iter().chain(command.split_whitespace());
        tool("org.apache.kafka.tools.TopicCommand", &arguments.collect::<Vec<_>>());
    }
    check_topics(&plain).unwrap();

    let log = open(&settings, directory.path());
    let events = bybit().events;
    for topic in Topic::ALL {
        assert_eq!(log.append(topic, events[..2].to_vec()).unwrap().written.len(), 2, "{topic:?}");
    }
    let writer = Producer::open(&settings).unwrap();
    assert_eq!(writer.write(Topic::Events, events[2..4].to_vec()).unwrap(), Written::Sent(2));
    log.append(Topic::Events, events[4..5].to_vec()).unwrap();
    assert_eq!((log.end(Topic::Events), log.end(Topic::Conclusions)), (Position(5), Position(2)));
    assert_eq!(standing(&settings, Topic::Events).len(), 5);

    create(&broker, "theirs", 1);
    write(&broker, "theirs", "k", "{}", None);
    let topics = IntakeTopics::subscribe(&IntakeSettings {
        brokers: broker.secured_address(),
        group: "keywatch.intake".to_owned(),
        topics: vec!["theirs".to_owned()],
        client: client(),
        tokens: settings.tokens.clone(),
    });
    let received = topics.unwrap().receive(Duration::from_mins(1)).unwrap();
    assert_eq!(received.iter().map(|message| message.value.as_slice()).collect::<Vec<_>>(), [b"{}"]);
    assert!(given.load(Ordering::Relaxed) > 5, "tokens were asked for");
}

#[test]
fn who_has_no_token_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let none = TokenSource::new(|| Err("the provider is away".to_owned()));
    let settings = Settings {
        client: client(),
        tokens: Some(none),
        ..Settings::new("127.0.0.1:1", Clock::Wall, directory.path())
    };
    let refused = KafkaLog::open(&settings, 0, directory.path()).unwrap_err().to_string();
    assert!(refused.contains("there is no token: the provider is away"), "{refused}");
}
