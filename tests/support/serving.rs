//! `keywatch run` as a child process.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

/// How long one has until it listens, which over a log of ten million events takes minutes.
const LISTENING_PATIENCE: Duration = Duration::from_mins(20);

/// A `keywatch run` that listens, killed without warning when it is dropped.
pub(crate) struct Serving {
    child: Child,
    /// Its base address.
    pub(crate) url: String,
}

impl Serving {
    /// Starts it in `directory` and waits until it says where it listens.
    pub(crate) fn start(directory: &Path, arguments: &[&str]) -> Serving {
        Serving::start_as(&mut Serving::command(directory, arguments))
    }

    /// As [`Serving::start`], with what it says on standard error, which has to be read.
    pub(crate) fn start_heard(directory: &Path, arguments: &[&str]) -> (Serving, ChildStderr) {
        let mut command = Serving::command(directory, arguments);
        let mut serving = Serving::start_as(command.env_remove("KEYWATCH_LOG").stderr(Stdio::piped()));
        let said = serving.child.stderr.take().unwrap();
        (serving, said)
    }

    fn command(directory: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keywatch"));
        command.arg("run").args(arguments).current_dir(directory).env_remove("KEYWATCH_CONFIG");
        command
    }

    fn start_as(command: &mut Command) -> Serving {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let (tell, told) = sync_channel(1);
        let stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            let mut said = String::new();
            let read = BufReader::new(stdout).read_line(&mut said);
            // Nobody listens once it took too long.
            let _ = tell.send(read.map(|_| said));
        });
        let said = told.recv_timeout(LISTENING_PATIENCE).map_or_else(|error| error.to_string(), Result::unwrap);
        let url = said.trim().strip_prefix("keywatch listens on ").map(str::to_owned);
        let Some(url) = url else {
            child.kill().unwrap();
            panic!("keywatch did not come up, it said: {said}");
        };
        Serving { child, url }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Asks it to stop, as a service manager does, and waits until it has.
    pub(crate) fn stop(self) -> ExitStatus {
        self.signal("TERM");
        self.ended()
    }

    /// Waits until it has ended.
    pub(crate) fn ended(mut self) -> ExitStatus {
        let until = Instant::now() + Duration::from_mins(1);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "keywatch did not stop within a minute");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
