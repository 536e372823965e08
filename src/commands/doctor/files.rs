//! Files with secrets, which only keywatch should be able to read, and the room of the disk that the log is on.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::report::Line;
use crate::limits::{DISK_FREE_BYTES_MIN, DISK_FREE_PERCENT_MIN};
use crate::service::config::Config;
use crate::service::config::receiver::Receiver;
use crate::service::metrics::disk;

const AREA: &str = "file";

/// Everything that is wrong with files that hold secrets; one line where nothing is.
pub(super) fn secrets(config: &Config) -> Vec<Line> {
    let mut named = named(config);
    // The first start of keywatch writes them.
    let keys = [config.data.join("keywatch.key"), config.log.key_file.clone()];
    named.extend(keys.into_iter().filter(|key| key.exists()));
    let mut wrong: Vec<Line> = named.iter().filter_map(|file| examined(file)).collect();
    if wrong.is_empty() {
        let found = format!("{} files with secrets can be read by keywatch, and by nobody else", named.len());
        wrong.push(Line::fine(AREA, "secrets", found));
    }
    wrong
}

/// Every file with a secret that the configuration names.
fn named(config: &Config) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    files.extend(config.server.tls.iter().map(|tls| tls.key_file.clone()));
    files.extend(config.bundles.keys.iter().map(|key| key.file.clone()));
    files.extend(config.decision_points.iter().filter_map(|point| point.token_file.clone()));
    files.extend(config.pull.iter().filter_map(|pull| pull.token_file.clone()));
    let endpoints = config.chains.iter().flat_map(|chain| &chain.endpoints);
    files.extend(endpoints.flat_map(|endpoint| endpoint.url_file.iter().chain(&endpoint.ws_file).cloned()));
    files.extend(config.operators.iter().filter_map(|operator| operator.sql_password_file.clone()));
    let signatures = config.credentials.iter().filter_map(|credential| credential.signature.as_ref());
    files.extend(signatures.flat_map(|signature| signature.secrets().iter().cloned()));
    files.extend(config.webhooks.iter().flat_map(|webhook| webhook.secret_files.iter().cloned()));
    files.extend(config.receivers.iter().flat_map(of_receiver));
    files.extend(config.identity_providers.iter().flat_map(|one| one.token_file.iter().chain(&one.key_file).cloned()));
    let clients = config.identity_providers.iter().filter_map(|one| one.client_credentials.as_ref());
    files.extend(clients.map(|client| client.client_secret_file.clone()));
    let sign_in = config.oidc.iter().filter_map(|oidc| oidc.sign_in.as_ref());
    files.extend(sign_in.filter_map(|sign_in| sign_in.client_secret_file.clone()));
    files.extend(config.signer_freezes.iter().flat_map(|freeze| freeze.secret_files.iter().cloned()));
    files.extend(config.heartbeats.iter().map(|heartbeat| heartbeat.url_file.clone()));
    files.extend(of_kafka(config));
    files.sort();
    files.dedup();
    files
}

/// Keys of other roles, and what lets keywatch in at clusters and at the bucket of what is remembered.
fn of_kafka(config: &Config) -> Vec<PathBuf> {
    let (log, intake) = (&config.log, &config.intake);
    let secrets =
        log.other_keys.values().chain(log.client_secret_files.values()).chain(intake.client_secret_files.values());
    let tokens =
        [&log.oauth, &intake.oauth].into_iter().flat_map(|oauth| [&oauth.token_file, &oauth.client_secret_file]);
    let tokens = tokens.chain([&log.state_store.keys_file]);
    secrets.chain(tokens.filter(|file| !file.as_os_str().is_empty())).cloned().collect()
}

fn of_receiver(receiver: &Receiver) -> Vec<PathBuf> {
    match receiver {
        Receiver::Alertmanager(receiver) => receiver.token_file.iter().cloned().collect(),
        Receiver::PagerDuty(receiver) => vec![receiver.key_file.clone()],
        Receiver::Webhook(receiver) => receiver.secret_files.clone(),
        Receiver::Slack(receiver) => vec![receiver.url_file.clone()],
        Receiver::Email(receiver) => receiver.password_file.iter().cloned().collect(),
        Receiver::Siem(_) => Vec::new(),
    }
}

/// What is wrong with a file that holds a secret.
fn examined(file: &Path) -> Option<Line> {
    let name = file.display().to_string();
    let about = match fs::metadata(file).and_then(|about| File::open(file).map(|_| about)) {
        Ok(about) => about,
        Err(error) => {
            let advice = "write the file, readable by the user that keywatch runs as, or correct the path";
            return Some(Line::wrong(AREA, name, error.to_string(), advice));
        }
    };
    let mode = about.permissions().mode() & 0o777;
    if !about.is_file() || about.len() == 0 {
        return Some(Line::wrong(AREA, name, "is no file with something in it", "write the secret into it"));
    }
    // A group may be let in on purpose; everybody is an accident.
    (mode & 0o027 != 0).then(|| {
        let found = format!("has the mode {mode:04o}: others can read or change a secret");
        Line::wrong(
            AREA,
            name.clone(),
            found,
            format!("chmod 600 {name}, and take a new secret if others may have read it"),
        )
    })
}

/// Whether the log has room to grow.
pub(super) fn room(data: &Path) -> Line {
    let place = data.ancestors().find(|place| place.exists()).unwrap_or(data);
    let name = data.display().to_string();
    let Some(room) = disk::room(place) else {
        return Line::doubtful("disk", name, "cannot be asked for its room", "look at it with df");
    };
    let percent = room.free.saturating_mul(100).checked_div(room.size).unwrap_or_default();
    let found = format!("{:.1} GiB of {:.1} GiB free", gib(room.free), gib(room.size));
    if room.free < DISK_FREE_BYTES_MIN || percent < DISK_FREE_PERCENT_MIN {
        let advice = "free space or move the log: where it cannot be written, no source is answered";
        return Line::wrong("disk", name, found, advice);
    }
    Line::fine("disk", name, found)
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_with_a_secret_is_looked_at() {
        let text = "[[chains]]\nsystem = 'cold'\nsource = 'node'\nchain = 'ethereum'\n\
                    endpoints = [{ name = 'own', url_file = 'http.url', ws_file = 'ws.url' }]\n\
                    [[identity_providers]]\nname = 'a'\nsystem = 'cold'\nkind = 'okta'\ntoken_file = 'okta.token'\n\
                    [[signer_freezes]]\nname = 'b'\nsystem = 'cold'\nurl = 'https://s'\nsecret_files = ['s.secret']\n\
                    [[heartbeats]]\nreceiver = 'pager'\nurl_file = 'beat.url'\n\
                    [log.client_secret_files]\n'sasl.password' = 'kafka.secret'\n[log.other_keys]\ningest = 'i.key'\n\
                    [intake.oauth]\ntoken_file = 'kafka.token'\n[log.state_store]\nkeys_file = 'state.toml'\n";
        let config: Config = toml::from_str(text).unwrap();
        let expected = [
            "beat.url",
            "http.url",
            "i.key",
            "kafka.secret",
            "kafka.token",
            "okta.token",
            "s.secret",
            "state.toml",
            "ws.url",
        ];
        assert_eq!(named(&config), expected.map(PathBuf::from));
    }

    #[test]
    fn a_secret_is_readable_by_keywatch_and_by_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("opa.token");
        let found = || examined(&file).map(|line| (line.found, line.advice.unwrap()));
        assert!(found().unwrap().1.contains("write the file"), "it is not there");
        let set = |text: &str, mode: u32| {
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        };
        set("", 0o600);
        assert!(found().unwrap().0.contains("no file with something"));
        for (mode, is_fine) in [(0o600, true), (0o640, true), (0o644, false), (0o620, false), (0o606, false)] {
            set("secret", mode);
            assert_eq!(found().is_none(), is_fine, "{mode:o}");
        }
        set("secret", 0o644);
        assert!(found().unwrap().1.starts_with("chmod 600"), "{:?}", found());
    }
}
