//! A real Open Policy Agent on a loopback port of its own, stopped when it is dropped.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::tools::{cached, version};

/// The policies of this tree.
pub(crate) fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("alerting/policies")
}

/// The pinned binary: where `KEYWATCH_TEST_OPA` says, else where `make tools` puts it.
pub(crate) fn binary() -> PathBuf {
    let binary = cached("KEYWATCH_TEST_OPA", &format!("opa-{}/opa", version("OPA_VERSION")));
    let place = binary.display();
    assert!(
        binary.is_file(),
        "the real OPA is not at {place}: `make tools` installs it, KEYWATCH_TEST_OPA may name another"
    );
    binary
}

/// A server.
pub(crate) struct Opa {
    child: Child,
    port: u16,
}

impl Opa {
    /// Starts one with the policies of this tree and waits until it answers.
    pub(crate) fn start() -> Opa {
        // The port is free when it is looked for and may be taken a moment later: then the next one.
        (0..5).find_map(|_| Opa::start_on(free_port())).expect("OPA did not start on any of five free ports")
    }

    /// Starts one on that port; `None` when it did not come up.
    pub(crate) fn start_on(port: u16) -> Option<Opa> {
        Opa::start_with(port, &[])
    }

    /// Starts one on that port with a configuration file.
    pub(crate) fn start_configured(port: u16, config: &Path) -> Option<Opa> {
        Opa::start_with(port, &["--config-file", config.to_str().unwrap()])
    }

    fn start_with(port: u16, further: &[&str]) -> Option<Opa> {
        let mut command = Command::new(binary());
        command.args(["run", "--server", "--disable-telemetry", "--log-level", "error"]);
        command.arg("--addr").arg(format!("127.0.0.1:{port}")).args(further);
        command.args(["revocations.rego", "wallet_signing.rego"].map(|file| policies().join(file)));
        Opa::start_command(port, command)
    }

    /// Starts one with exactly these arguments, which have it listen on that port.
    pub(crate) fn start_as(port: u16, arguments: &[String]) -> Option<Opa> {
        let mut command = Command::new(binary());
        command.args(arguments);
        Opa::start_command(port, command)
    }

    fn start_command(port: u16, mut command: Command) -> Option<Opa> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut opa = Opa { child, port };
        let until = Instant::now() + Duration::from_secs(30);
        while Instant::now() < until && opa.child.try_wait().unwrap().is_none() {
            if opa.is_healthy() {
                return Some(opa);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// Its base address.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    fn is_healthy(&self) -> bool {
        use std::io::{Read, Write};
        let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let mut answer = [0; 12];
        let asked = stream.write_all(b"GET /health HTTP/1.1\r\nHost: opa\r\nConnection: close\r\n\r\n");
        asked.is_ok() && stream.read_exact(&mut answer).is_ok() && answer.ends_with(b" 200")
    }
}

impl Drop for Opa {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
