//! The process of one partition: this program once more, which listens on a port of `127.0.0.1` and ends when its standard
//! input does. So none outlives the process that started it, however that one ended.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::watch;

use crate::limits::SHARE_END_SECONDS_MAX;
use crate::output;
use crate::service::http::handed::Secret;

/// How such a process says where it listens.
const LISTENS: &str = "keywatch listens on http://";

/// Between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(20);

/// How the process of a partition is started: a program, and what stands before the number of the partition.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// This program.
    pub(crate) executable: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// What the process is told, so that it believes for whom it is asked.
    pub(crate) secret: Secret,
}

/// A process of a partition; killed when it is dropped.
pub(super) struct Running {
    child: Child,
    /// It runs as long as this is open.
    input: Option<ChildStdin>,
    address: Arc<OnceLock<SocketAddr>>,
}

impl Running {
    /// Starts the process of a partition.
    ///
    /// # Errors
    /// The program cannot be started.
    pub(super) fn start(program: &Program, partition: u32) -> anyhow::Result<Running> {
        let mut command = Command::new(&program.executable);
        command.args(&program.arguments).arg(partition.to_string());
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let child = child.with_context(|| format!("cannot start {}", program.executable.display()))?;
        let mut running = Running { child, input: None, address: Arc::default() };
        running.input = running.child.stdin.take();
        if let Some(input) = &mut running.input {
            // One that has ended already is found to have.
            let _ = input.write_all(program.secret.line().as_bytes());
        }
        let said = running.child.stdout.take().context("its output cannot be read")?;
        let address = Arc::clone(&running.address);
        let reading = thread::Builder::new().name("share-output".to_owned());
        reading.spawn(move || read(said, &address)).context("cannot start a thread")?;
        Ok(running)
    }

    /// Where it listens, once its log is read and its rules are there.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.address.get().copied()
    }

    /// How it ended, where it has.
    pub(super) fn ended(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(status) => status.as_ref().map(ExitStatus::to_string),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Asks it to end, and does not wait for that.
    pub(super) fn ask_to_end(&mut self) {
        drop(self.input.take());
        if self.address().is_none() {
            // It is still reading its log, which would have to come to its end first.
            self.kill();
        }
    }

    /// Waits until it has ended. One that does not by then is killed.
    pub(super) fn end(mut self, until: Instant) {
        while self.ended().is_none() && Instant::now() < until {
            thread::sleep(LOOK);
        }
        if self.ended().is_none() {
            tracing::warn!("the process of a partition did not end in time and is killed");
        }
    }

    fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Takes from what a process says where it listens, and hands the rest on.
fn read(said: ChildStdout, address: &OnceLock<SocketAddr>) {
    for line in BufReader::new(said).lines() {
        let Ok(line) = line else { return };
        match line.strip_prefix(LISTENS).and_then(|text| text.parse().ok()) {
            Some(found) => {
                // It says so once.
                let _ = address.set(found);
            }
            None => {
                // Nobody may be listening here.
                let _ = output::line(&line);
            }
        }
    }
}

/// Whoever started this process.
pub(crate) struct Parent {
    /// What it is known by.
    pub(crate) secret: Secret,
    /// Says `true` once it has ended or wants this process to end.
    pub(crate) ends: watch::Receiver<bool>,
}

/// Hears from whoever started this process. Where it does not end in order within its time once it is to, it is ended all the
/// same: another process is to have the partition.
///
/// # Errors
/// Nobody who shares partitions has started it; there is no thread for it.
pub(crate) fn parent() -> anyhow::Result<Parent> {
    let secret = Secret::read(std::io::stdin().lock())?;
    let (sender, ends) = watch::channel(false);
    let wait = move || {
        until_closed(std::io::stdin().lock());
        tracing::info!("stopping, as the process that shares partitions says or has done");
        sender.send_replace(true);
        thread::sleep(Duration::from_secs(SHARE_END_SECONDS_MAX));
        leave();
    };
    thread::Builder::new().name("parent".to_owned()).spawn(wait).context("cannot start a thread")?;
    Ok(Parent { secret, ends })
}

fn until_closed(mut input: impl Read) {
    let mut ignored = [0; 64];
    loop {
        match input.read(&mut ignored) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "it was to end long ago; the log is whole also after a kill")]
fn leave() {
    std::process::exit(2);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell in place of keywatch.
    fn program(script: &str) -> Program {
        let secret = Secret::random().unwrap();
        Program { executable: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()], secret }
    }

    fn until(is_it: impl Fn() -> bool) {
        let until = Instant::now() + Duration::from_secs(30);
        while !is_it() {
            assert!(Instant::now() < until, "not in time");
            thread::sleep(LOOK);
        }
    }

    #[test]
    fn it_says_where_it_listens_and_ends_when_nobody_holds_its_input() {
        let mut running =
            Running::start(&program("echo 'keywatch listens on http://127.0.0.1:4711'; cat >&2; exit 0"), 3).unwrap();
        until(|| running.address().is_some());
        assert_eq!(running.address(), Some("127.0.0.1:4711".parse().unwrap()));
        assert_eq!(running.ended(), None);
        running.ask_to_end();
        running.end(Instant::now() + Duration::from_secs(30));
    }

    #[test]
    fn it_is_told_the_secret() {
        let program = program("read secret; echo \"keywatch listens on http://127.0.0.1:${#secret}\"; cat >&2; exit 0");
        let running = Running::start(&program, 3).unwrap();
        until(|| running.address().is_some());
        assert_eq!(running.address(), Some("127.0.0.1:64".parse().unwrap()));
    }

    #[test]
    fn one_that_does_not_listen_yet_or_does_not_end_is_killed() {
        let mut starting = Running::start(&program("exec sleep 600"), 3).unwrap();
        starting.ask_to_end();
        assert!(starting.ended().is_some_and(|how| how.contains("signal")), "at once");
        let deaf = Running::start(&program("echo 'keywatch listens on http://127.0.0.1:1'; exec sleep 600"), 3);
        let mut deaf = deaf.unwrap();
        until(|| deaf.address().is_some());
        deaf.ask_to_end();
        assert_eq!(deaf.ended(), None);
        deaf.end(Instant::now());
    }

    #[test]
    fn what_is_written_to_the_input_is_no_end() {
        let mut input = &b"whatever this is, and more than is read at once: it is looked over until nothing comes"[..];
        until_closed(&mut input);
        assert!(input.is_empty());
    }
}
