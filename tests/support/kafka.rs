//! A real Apache Kafka on loopback ports of its own: one broker that tests share while one of them needs it, stopped by its
//! process id when the last has ended.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::tools::{cached, version};

/// A broker that is its own controller.
pub(crate) struct Broker {
    child: Child,
    ports: Ports,
    directory: tempfile::TempDir,
}

#[derive(Clone, Copy)]
struct Ports {
    plain: u16,
    secured: u16,
    controller: u16,
}

/// The broker, started if no other test has it running.
pub(crate) fn broker() -> Arc<Broker> {
    static RUNNING: Mutex<Weak<Broker>> = Mutex::new(Weak::new());
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    running.upgrade().unwrap_or_else(|| {
        let broker = Arc::new(Broker::start(|_, _| String::new()));
        *running = Arc::downgrade(&broker);
        broker
    })
}

/// A prefix of topic names that no other test of this process has.
pub(crate) fn prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Broker {
    /// One that no other test uses. `more` gives further properties, for a directory and a port of a second listener.
    pub(crate) fn start(more: impl Fn(&Path, u16) -> String) -> Broker {
        Broker::start_formatted(&[], more)
    }

    /// As [`Broker::start`], its storage formatted with further arguments.
    pub(crate) fn start_formatted(format: &[&str], more: impl Fn(&Path, u16) -> String) -> Broker {
        // A port is free when it is looked for and may be taken a moment later: then the next ones.
        let attempt = |_| Broker::attempt(format, &more);
        (0..3).find_map(attempt).expect("Kafka did not start on any of three sets of ports")
    }

    fn attempt(format: &[&str], more: impl Fn(&Path, u16) -> String) -> Option<Broker> {
        let [ports] = free_ports();
        let mut broker = Broker::launch(ports, format, more);
        broker.is_up().then_some(broker)
    }

    fn launch(ports: Ports, format: &[&str], more: impl Fn(&Path, u16) -> String) -> Broker {
        let directory = tempfile::tempdir().unwrap();
        let configuration = directory.path().join("server.properties");
        let properties = properties(directory.path(), ports, &more(directory.path(), ports.secured));
        std::fs::write(&configuration, properties).unwrap();
        let formatted = java("kafka.tools.StorageTool")
            .args(["format", "--cluster-id", "MkU3OEVBNTcwNTJENDM2Qk", "--config"])
            .arg(&configuration)
            .args(format)
            .stdout(Stdio::null())
            .status();
        assert!(formatted.unwrap().success(), "Kafka's storage could not be formatted");
        Broker { child: serve(directory.path()), ports, directory }
    }

    /// Waits until it listens; `false` when it ended or does not in time.
    fn is_up(&mut self) -> bool {
        let until = Instant::now() + Duration::from_mins(2);
        while Instant::now() < until && self.child.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", self.ports.plain)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Where it listens, `host:port`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.plain)
    }

    /// Where its second listener is, `host:port`.
    pub(crate) fn secured_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.secured)
    }

    /// Its directory.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Kills it without warning.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it where it was.
    pub(crate) fn start_again(&mut self) {
        self.child = serve(self.directory.path());
        assert!(self.is_up(), "Kafka did not come back");
    }
}

/// Three brokers that are their own controllers.
pub(crate) struct Cluster([Broker; 3]);

impl Cluster {
    /// One that no other test uses.
    pub(crate) fn start() -> Cluster {
        Cluster::start_configured("")
    }

    /// As [`Cluster::start`], with further properties of all three.
    pub(crate) fn start_configured(more: &str) -> Cluster {
        (0..3).find_map(|_| Cluster::attempt(more)).expect("Kafka did not start on any of three sets of ports")
    }

    fn attempt(more: &str) -> Option<Cluster> {
        let ports: [Ports; 3] = free_ports();
        let voter = |(id, ports): (usize, &Ports)| format!("{}@127.0.0.1:{}", id + 1, ports.controller);
        let voters = ports.iter().enumerate().map(voter).collect::<Vec<_>>().join(",");
        let mut id = 0;
        let mut brokers = ports.map(|ports| {
            id += 1;
            Broker::launch(ports, &[], |_, _| {
                format!(
                    "node.id={id}\ncontroller.quorum.voters={voters}\noffsets.topic.replication.factor=3\n\
                     transaction.state.log.replication.factor=3\ntransaction.state.log.min.isr=2\n{more}"
                )
            })
        });
        // None listens before most of them are there.
        brokers.iter_mut().all(Broker::is_up).then_some(Cluster(brokers))
    }

    /// Where they listen.
    pub(crate) fn address(&self) -> String {
        self.0.each_ref().map(Broker::address).join(",")
    }

    /// Kills the broker with that id, from 1, without warning.
    pub(crate) fn kill(&mut self, id: usize) {
        self.0[id - 1].kill();
    }

    /// Starts brokers where they were.
    pub(crate) fn start_again(&mut self, ids: impl Iterator<Item = usize> + Clone) {
        for id in ids.clone() {
            let broker = &mut self.0[id - 1];
            broker.child = serve(broker.directory.path());
        }
        for id in ids {
            assert!(self.0[id - 1].is_up(), "broker {id} did not come back");
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(directory: &Path) -> Child {
    let log = std::fs::File::create(directory.join("log")).unwrap();
    let mut server = java("kafka.Kafka");
    server.arg(directory.join("server.properties")).stdout(log.try_clone().unwrap()).stderr(log);
    server.spawn().unwrap()
}

/// Runs one of Kafka's own tools; what it says when it fails.
pub(crate) fn tool(class: &str, arguments: &[&str]) {
    let output = java(class).args(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{class} {arguments:?}: {}", String::from_utf8_lossy(&said));
}

/// The jars of the pinned version: where `KEYWATCH_TEST_KAFKA` says, else where `make tools` puts them.
fn jars() -> PathBuf {
    let jars = cached("KEYWATCH_TEST_KAFKA", &format!("kafka-{}", version("KAFKA_VERSION")));
    let is_there = jars.join("complete").is_file();
    assert!(is_there, "the real Kafka is not at {}: `make tools` installs it", jars.display());
    jars
}

fn java(class: &str) -> Command {
    let mut command = Command::new("java");
    command.args(["-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]);
    command.arg(jars().join("*")).arg(class).stdin(Stdio::null());
    command
}

fn properties(directory: &Path, ports: Ports, more: &str) -> String {
    let directory = directory.join("data").display().to_string();
    let Ports { plain, controller, .. } = ports;
    let own = [
        "process.roles=broker,controller",
        "node.id=1",
        &format!("controller.quorum.voters=1@127.0.0.1:{controller}"),
        &format!("listeners=PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller}"),
        &format!("advertised.listeners=PLAINTEXT://127.0.0.1:{plain}"),
        "controller.listener.names=CONTROLLER",
        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        &format!("log.dirs={directory}"),
        "offsets.topic.replication.factor=1",
        // Of these it has fifty partitions otherwise, which a cluster of small machines takes long to lead anew.
        "offsets.topic.num.partitions=5",
        "transaction.state.log.num.partitions=5",
        "transaction.state.log.replication.factor=1",
        "transaction.state.log.min.isr=1",
        "share.coordinator.state.topic.replication.factor=1",
        "share.coordinator.state.topic.min.isr=1",
        "group.initial.rebalance.delay.ms=0",
        "auto.create.topics.enable=false",
    ];
    // Of two values for one key the later one holds.
    format!(
        "{}\n{}",
        own.join("\n"),
        more.replace("{plain}", &plain.to_string()).replace("{controller}", &controller.to_string())
    )
}

fn free_ports<const BROKERS: usize>() -> [Ports; BROKERS] {
    // All are held until all are known, so that they differ.
    let held = [(); BROKERS].map(|()| [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap()));
    held.map(|held| {
        let [plain, secured, controller] = held.map(|listener| listener.local_addr().unwrap().port());
        Ports { plain, secured, controller }
    })
}
