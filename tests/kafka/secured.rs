//! A cluster with TLS, SCRAM and ACLs: what the documentation grants is what keywatch needs, and nobody else writes its log.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use keywatch_store::log::kafka::{IntakeSettings, IntakeTopics, KafkaLog, Producer, Settings};
use keywatch_store::{Clock, Error, Log, LogWriter, Position, Topic, Written};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseRecord, DeliveryResult, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::foreign::create;
use super::standing;
use crate::incidents::recording::bybit;
use crate::support::kafka::{Broker, tool};

const PASSWORD: &str = "keywatch-test";

/// A cluster whose second listener asks for a name and a password over TLS, and lets nobody do what no ACL allows. Who
/// comes over the first is its administrator.
fn cluster() -> Broker {
    let users = ["keywatch", "keywatch-ingest", "osquery"];
    let users = users.map(|user| format!("SCRAM-SHA-512=[name={user},password={PASSWORD}]"));
    let format: Vec<&str> = users.iter().flat_map(|user| ["--add-scram", user.as_str()]).collect();
    Broker::start_formatted(&format, |directory, port| {
        certificate(directory);
        let keystore = directory.join("broker.p12").display().to_string();
        [
            &format!(
                "listeners=PLAINTEXT://127.0.0.1:{{plain}},SASL_SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{{controller}}"
            ),
            &format!("advertised.listeners=PLAINTEXT://127.0.0.1:{{plain}},SASL_SSL://127.0.0.1:{port}"),
            "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL",
            "inter.broker.listener.name=PLAINTEXT",
            "sasl.enabled.mechanisms=SCRAM-SHA-512",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
             org.apache.kafka.common.security.scram.ScramLoginModule required;",
            &format!("ssl.keystore.location={keystore}"),
            "ssl.keystore.type=PKCS12",
            &format!("ssl.keystore.password={PASSWORD}"),
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users=User:ANONYMOUS",
        ]
        .join("\n")
    })
}

/// A key for the broker, and its certificate in `ca.pem`.
fn certificate(directory: &Path) {
    let keytool = |arguments: &[&str]| {
        let store = ["-keystore", "broker.p12", "-storetype", "PKCS12", "-storepass", PASSWORD, "-alias", "broker"];
        let output = Command::new("keytool").args(arguments).args(store).current_dir(directory).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    };
    keytool(&["-genkeypair", "-keyalg", "EC", "-dname", "CN=127.0.0.1", "-ext", "SAN=ip:127.0.0.1"]);
    keytool(&["-exportcert", "-rfc", "-file", "ca.pem"]);
}

/// Runs the commands that the documentation gives.
fn allow_as_documented(broker: &Broker) {
    let documentation = include_str!("../../docs/kafka.md").replace("\\\n", " ");
    let documented = documentation.lines().filter_map(|line| line.trim().strip_prefix("kafka-acls "));
    let commands: Vec<&str> = documented.collect();
    assert!(commands.len() >= 4, "{commands:?}");
    for command in commands {
        let address = broker.address();
        let arguments: Vec<&str> =
            command.split_whitespace().map(|word| if word == "$KAFKA" { &address } else { word }).collect();
        tool("org.apache.kafka.tools.AclCommand", &arguments);
    }
}

/// What a client of that name is told.
fn client(broker: &Broker, user: &str) -> BTreeMap<String, String> {
    let ca = broker.path().join("ca.pem").display().to_string();
    let pairs = [
        ("security.protocol", "SASL_SSL"),
        ("ssl.ca.location", &ca),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.username", user),
        ("sasl.password", PASSWORD),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn settings(broker: &Broker, user: &str, directory: &Path) -> Settings {
    Settings {
        replication: 1,
        min_insync_replicas: 1,
        client: client(broker, user),
        ..Settings::new(&broker.secured_address(), Clock::Wall, directory.join("role.key"))
    }
}

/// Why a message that `user` writes to a topic is not taken; `None` when it is.
fn refusal(broker: &Broker, user: &str, topic: &str) -> Option<RDKafkaErrorCode> {
    struct Told(std::sync::mpsc::SyncSender<Option<RDKafkaErrorCode>>);
    impl rdkafka::ClientContext for Told {}
    impl ProducerContext for Told {
        type DeliveryOpaque = ();
        fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
            let error = result.as_ref().err().and_then(|(error, _)| error.rdkafka_error_code());
            self.0.send(error).unwrap();
        }
    }
    let (told, answer) = std::sync::mpsc::sync_channel(1);
    let mut config: ClientConfig = client(broker, user).into_iter().collect();
    config.set("bootstrap.servers", broker.secured_address());
    let producer: ThreadedProducer<Told> = config.create_with_context(Told(told)).unwrap();
    producer.send(BaseRecord::to(topic).key("cold").payload("{}")).map_err(|(error, _)| error).unwrap();
    answer.recv_timeout(Duration::from_mins(1)).unwrap()
}

/// Whether `user` can write a name beside the offset of a group, as who takes a partition over does.
fn claims(broker: &Broker, user: &str, group: &str) -> bool {
    let mut config: ClientConfig = client(broker, user).into_iter().collect();
    config.set("bootstrap.servers", broker.secured_address());
    config.set("group.id", group).set("enable.auto.commit", "false").set("session.timeout.ms", "10000");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut place = TopicPartitionList::new();
    let mut mark = place.add_partition("keywatch.conclusions", 0);
    mark.set_offset(Offset::Offset(0)).unwrap();
    mark.set_metadata("4711");
    consumer.commit(&place, CommitMode::Sync).is_ok()
}

#[test]
fn p8_the_documented_acls_let_keywatch_work_and_nobody_else_write_its_log() {
    let (broker, directory) = (cluster(), tempfile::tempdir().unwrap());
    create(&broker, "osquery.results", 1);
    let keywatch = settings(&broker, "keywatch", directory.path());
    let refused = KafkaLog::open(&keywatch, 0, &directory.path().join("before")).unwrap_err();
    assert!(matches!(refused, Error::KafkaTopic { .. }), "before it is allowed: {refused}");
    allow_as_documented(&broker);

    let log = KafkaLog::open(&keywatch, 0, &directory.path().join("copy")).unwrap();
    let events = bybit().events;
    for topic in Topic::ALL {
        let appended = log.append(topic, events[..2].to_vec()).unwrap();
        assert_eq!(appended.written.len(), 2, "{topic:?}");
    }
    let ingest = settings(&broker, "keywatch-ingest", directory.path());
    let writer = Producer::open(&ingest).unwrap();
    assert_eq!(writer.write(Topic::Events, events[2..4].to_vec()).unwrap(), Written::Sent(2));
    let refused = writer.write(Topic::Conclusions, events[2..4].to_vec()).unwrap_err();
    assert!(refused.to_string().contains("allow its principal Write"), "{refused}");
    let concluded = standing(&ingest, Topic::Conclusions);
    let concluded: usize = concluded.iter().map(|seen| seen.records.as_ref().unwrap().len()).sum();
    assert_eq!(concluded, 2, "in which it reads what is stolen");
    for group in ["keywatch.owner", "keywatch.evaluate"] {
        assert!(!claims(&broker, "keywatch-ingest", group), "{group}");
    }
    assert!(claims(&broker, "keywatch-ingest", "keywatch.intake"), "what is refused is the group");
    log.confirm().unwrap();
    log.append(Topic::Events, events[4..5].to_vec()).unwrap();
    assert_eq!((log.end(Topic::Events), log.end(Topic::Conclusions)), (Position(5), Position(2)));

    assert_eq!(refusal(&broker, "osquery", "osquery.results"), None);
    for topic in ["keywatch.events", "keywatch.conclusions"] {
        assert_eq!(refusal(&broker, "osquery", topic), Some(RDKafkaErrorCode::TopicAuthorizationFailed), "{topic}");
    }
    let topics = IntakeTopics::subscribe(&IntakeSettings {
        brokers: broker.secured_address(),
        group: "keywatch.intake".to_owned(),
        topics: vec!["osquery.results".to_owned()],
        client: client(&broker, "keywatch-ingest"),
        tokens: None,
    });
    let received = topics.unwrap().receive(Duration::from_mins(1)).unwrap();
    assert_eq!(received.iter().map(|message| message.value.as_slice()).collect::<Vec<_>>(), [b"{}"]);
    assert_eq!(log.foreign_messages(), 0);
}
