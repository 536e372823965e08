//! Who may send, as it is configured now: `[[credentials]]` of the configuration file with the secrets and keys that they
//! point to, read again when one of these files changes. What is left out ends with the look that sees it. Files that are
//! wrong, or that do not fit the rest of the configuration as it was at the start, leave what was there, and that is said in
//! the log of every system that has credentials. Knows no request and no stream.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keywatch_store::event::Origin;
use keywatch_store::{Event, Inventory};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::accepting::Accepting;
use super::prints::Refused;
use super::{Credentials, Current};
use crate::clock;
use crate::limits::{CONFIG_BYTES_MAX, CREDENTIALS_RELOAD_SECONDS};
use crate::service::config::credential::{Credential, Signature};
use crate::service::config::{Config, reload};
use crate::service::intake::Intake;
use crate::service::metrics::Metrics;
use crate::service::role::Role;

/// Reads them, and goes on looking at their files as long as somebody uses what it gives, and at what is `refused`. None where
/// the process takes nothing in. What is taken is said by `accepting`, if there is one.
///
/// # Errors
/// As of [`Credentials::new`].
pub(crate) fn start(
    config: &Config,
    role: Role,
    intake: &Arc<Intake>,
    mut refused: watch::Receiver<Refused>,
    accepting: Option<Arc<Accepting>>,
) -> anyhow::Result<Current> {
    if !role.takes_in() {
        return Ok(watch::channel(Arc::default()).1);
    }
    // Looked at before they are read, so that a change from here on is seen.
    let look = Look::at(config, &intake.inventory.now());
    let credentials = Credentials::new(&config.credentials, &config.installed)?;
    let credentials = credentials.refusing(Arc::clone(&refused.borrow_and_update()));
    expect(&credentials, &Credentials::default(), &intake.metrics);
    for outcome in ["taken", "refused"] {
        intake.metrics.door_credential_reloads.with_label_values(&[outcome]);
    }
    let is_as_read = look.configured.as_ref().is_ok_and(|configured| *configured == config.credentials);
    let taken = is_as_read.then_some(look.digest);
    let (sender, current) = watch::channel(Arc::new(credentials));
    let following = Following {
        config: Arc::new(config.clone()),
        intake: Arc::clone(intake),
        accepting,
        refused,
        seen: taken,
        taken,
        is_unwell: false,
    };
    tokio::spawn(following.follow(sender));
    Ok(current)
}

struct Following {
    config: Arc<Config>,
    intake: Arc<Intake>,
    /// Says what is taken, where others evaluate.
    accepting: Option<Arc<Accepting>>,
    /// What is configured and taken no more.
    refused: watch::Receiver<Refused>,
    /// The files as they were at the last look.
    seen: Option<[u8; 32]>,
    /// The files as they were when they were judged.
    taken: Option<[u8; 32]>,
    /// Whether the log says that they were refused.
    is_unwell: bool,
}

impl Following {
    async fn follow(mut self, sender: watch::Sender<Arc<Credentials>>) {
        loop {
            self.say_what_is_taken(&sender).await;
            tokio::select! {
                () = sender.closed() => return,
                () = declared(&mut self.refused) => {
                    let refused = Arc::clone(&self.refused.borrow_and_update());
                    let before = Arc::clone(&sender.borrow());
                    sender.send_replace(Arc::new(before.refusing(refused)));
                    continue;
                }
                () = sleep(Duration::from_secs(CREDENTIALS_RELOAD_SECONDS)) => {}
            }
            // Files may lie where reading hangs, and the threads that serve have else to do.
            let (config, inventory) = (Arc::clone(&self.config), self.intake.inventory.now());
            let Ok(Look { digest, configured }) = spawn_blocking(move || Look::at(&config, &inventory)).await else {
                tracing::error!("a look at the credentials broke off; this is a defect of keywatch");
                continue;
            };
            // Files that are being written are others at the next look.
            let is_settled = self.seen.replace(digest) == Some(digest);
            if !is_settled || self.taken == Some(digest) {
                continue;
            }
            self.taken = Some(digest);
            let before = Arc::clone(&sender.borrow());
            let (config, known) = (Arc::clone(&self.config), Arc::clone(&before));
            let renew = move || configured.and_then(|configured| known.renewed(&configured, &config.installed));
            let renewed = spawn_blocking(renew).await.unwrap_or_else(|error| Err(error.into()));
            let outcome = match renewed {
                Ok(new) => {
                    expect(&new, &before, &self.intake.metrics);
                    tracing::info!(
                        credentials = new.all.len(),
                        before = before.all.len(),
                        "who may send was read anew"
                    );
                    sender.send_replace(Arc::new(new));
                    self.say(None).await;
                    "taken"
                }
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::error!(error, "the changed credentials are not usable; those before stay, all of them");
                    self.say(Some(error)).await;
                    "refused"
                }
            };
            self.intake.metrics.door_credential_reloads.with_label_values(&[outcome]).inc();
        }
    }

    /// Once it counts; what the log did not take is said again at the next look.
    async fn say_what_is_taken(&self, sender: &watch::Sender<Arc<Credentials>>) {
        let Some(accepting) = self.accepting.clone() else { return };
        let credentials = Arc::clone(&sender.borrow());
        match spawn_blocking(move || accepting.say(&credentials)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the log does not say which credentials are taken here"),
            Err(error) => tracing::error!(%error, "an append broke off"),
        }
    }

    /// Says in the log that they cannot be used, and after that that they can again.
    async fn say(&mut self, trouble: Option<String>) {
        if trouble.is_none() && !self.is_unwell {
            return;
        }
        self.is_unwell = trouble.is_some();
        let (outcome, now) = (if self.is_unwell { "degraded" } else { "ok" }, clock::now());
        let reason = trouble.map(|error| format!("changed credentials are not used, those before stay: {error}"));
        let systems: BTreeSet<&String> = self.config.credentials.iter().map(|one| &one.system).collect();
        for system in systems {
            let origin = Origin { system: system.clone(), source: "keywatch".to_owned() };
            let id = format!("credentials/{}", now.nanoseconds());
            let mut event = Event::builder(&origin, &id, "source.status", now);
            event.outcome(outcome).reason(reason.clone());
            let (intake, event) = (Arc::clone(&self.intake), event.build_own());
            let written = spawn_blocking(move || intake.accept_followed(&origin, "credentials", vec![event])).await;
            match written {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, system, "the log does not say how the credentials are"),
                Err(error) => tracing::error!(%error, system, "an append broke off"),
            }
        }
    }
}

/// Returns once something else is refused.
async fn declared(refused: &mut watch::Receiver<Refused>) {
    if refused.changed().await.is_err() {
        // Nobody declares anything here.
        std::future::pending::<()>().await;
    }
}

/// Shows the sources that were not there before, from now on.
fn expect(credentials: &Credentials, before: &Credentials, metrics: &Metrics) {
    for credential in credentials.iter() {
        if !before.iter().any(|known| known.speaks_as(credential)) {
            metrics.expect(credential.source());
            metrics.heard(credential.source(), clock::now());
        }
    }
}

/// The files as they stood at one moment.
struct Look {
    /// Of what is configured, or what is wrong with it, and of the files that it points to.
    digest: [u8; 32],
    configured: anyhow::Result<Vec<Credential>>,
}

impl Look {
    fn at(config: &Config, inventory: &Inventory) -> Look {
        let configured = reload::credentials(config, inventory);
        let mut digest = Sha256::new();
        match &configured {
            Ok(configured) => {
                digest.update(Sha256::digest(format!("{configured:?}")));
                let signatures = configured.iter().filter_map(|credential| credential.signature.as_ref());
                for file in signatures.flat_map(Signature::files) {
                    match read(file) {
                        Ok(bytes) => digest.update(Sha256::digest(bytes)),
                        Err(error) => digest.update(Sha256::digest(error.to_string())),
                    }
                }
            }
            Err(error) => digest.update(format!("{error:#}")),
        }
        Look { digest: digest.finalize().into(), configured }
    }
}

/// As much of a file as tells it from another.
fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(CONFIG_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::mpsc::sync_channel;
    use std::thread;

    use keywatch_store::log::memory::MemoryLog;
    use tokio::sync::{Notify, oneshot};

    use super::*;
    use crate::service::declared;

    /// There is one thread, on which everything else has to go on.
    #[tokio::test]
    async fn a_file_that_hangs_holds_up_nobody_who_serves() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("keywatch.toml");
        std::fs::write(&file, "# nobody sends").unwrap();
        let intake = Arc::new(Intake {
            log: Arc::new(MemoryLog::new()),
            inventory: declared::Current::new(Inventory::default()),
            metrics: Metrics::new(),
            appended: Arc::new(Notify::new()),
        });
        let config = Config { file: file.clone(), ..Config::default() };
        let (_refusing, refused) = watch::channel(Refused::default());
        let _current = start(&config, Role::All, &intake, refused, None).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
        let ((open, opened), (go_on, gone_on)) = (oneshot::channel(), sync_channel(1));
        let writer = thread::spawn(move || {
            // It opens once somebody reads, who hangs as long as nothing comes.
            let held = std::fs::OpenOptions::new().write(true).open(file).unwrap();
            open.send(()).unwrap();
            let has_gone_on = gone_on.recv_timeout(Duration::from_secs(10)).is_ok();
            drop(held);
            has_gone_on
        });
        opened.await.unwrap();
        // Nobody may listen any more.
        let _ = go_on.send(());
        assert!(writer.join().unwrap(), "nothing went on while the file was read");
    }
}
