//! Where what windows and alerting remember is kept for the process that takes a partition over: a directory, or a bucket, with
//! its address and the keys to it. What is kept there it does not know.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use reqwest::Url;
use serde::Deserialize;

use crate::limits::STATE_REQUEST_SECONDS_MAX;
use crate::service::s3::bucket::{Bucket, address};

/// `[log.state_store]` of the configuration: how the bucket of `log.state` is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StateStore {
    /// Address of the service; empty for that of AWS in the region.
    pub(crate) endpoint: String,
    /// Where the bucket is, as it stands in signatures.
    pub(crate) region: String,
    /// Whether the bucket's name stands in the path and not before the host.
    pub(crate) path_style: bool,
    /// File with `access_key_id`, `secret_access_key` and perhaps `session_token`, read anew for each request.
    pub(crate) keys_file: PathBuf,
    /// Lets what is kept travel in the clear.
    pub(crate) allow_plain_http: bool,
}

/// The name of the bucket in `s3://bucket/prefix`, and the prefix without slashes around it; `None` for a directory.
pub(crate) fn bucket_of(state: &Path) -> Option<(&str, &str)> {
    let place = state.to_str()?.strip_prefix("s3://")?;
    Some(place.split_once('/').map_or((place, ""), |(bucket, prefix)| (bucket, prefix.trim_matches('/'))))
}

impl StateStore {
    /// The paths in it that are meant from where the file is.
    pub(crate) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.keys_file].into_iter().filter(|file| !file.as_os_str().is_empty())
    }

    /// Checks it beside `log.state` and `log.key_file`.
    ///
    /// # Errors
    /// Names the field and what to write instead.
    pub(crate) fn check(&self, state: &Path, key_file: &Path) -> anyhow::Result<()> {
        let Some((bucket, prefix)) = bucket_of(state) else {
            ensure!(
                !state.to_string_lossy().contains("://"),
                "log.state: `{}` is neither a directory nor s3://bucket/prefix; other services that speak as S3 does are \
                 named by log.state_store.endpoint",
                state.display()
            );
            ensure!(*self == StateStore::default(), "log.state_store: only for log.state = \"s3://bucket/prefix\"");
            return Ok(());
        };
        ensure!(is_plain(bucket), "log.state: `{bucket}` is no name of a bucket; write s3://bucket/prefix");
        ensure!(
            prefix.is_empty() || prefix.split('/').all(is_plain),
            "log.state: the prefix `{prefix}` has to be of letters, digits, `-`, `_` and `.`, with single slashes between"
        );
        ensure!(
            is_plain(&self.region),
            "log.state_store.region: name the one in which the bucket is (`auto` for Google Cloud Storage)"
        );
        ensure!(
            !self.keys_file.as_os_str().is_empty(),
            "log.state_store.keys_file: name a file with access_key_id and secret_access_key"
        );
        // One that each drew for itself would make what one keeps foreign to the next.
        ensure!(
            !key_file.as_os_str().is_empty(),
            "log.key_file: what is kept in a bucket is proved by the key of the role; name a file that is the same for all"
        );
        self.address(bucket).map(drop)
    }

    /// A client of the bucket of that name.
    ///
    /// # Errors
    /// The address is none, or there is no client to be had.
    pub(crate) fn bucket(&self, name: &str) -> anyhow::Result<Bucket> {
        Bucket::new(self.address(name)?, &self.region, &self.keys_file, STATE_REQUEST_SECONDS_MAX)
    }

    /// The address of the bucket of that name.
    ///
    /// # Errors
    /// It is none, or would show what is kept to everybody on the way.
    pub(crate) fn address(&self, bucket: &str) -> anyhow::Result<Url> {
        let of_aws = format!("https://s3.{}.amazonaws.com", self.region);
        let endpoint = if self.endpoint.is_empty() { &of_aws } else { &self.endpoint };
        ensure!(
            !endpoint.contains(['?', '#', '@']),
            "log.state_store.endpoint: write the address alone; the keys belong into keys_file"
        );
        let mut url = address(endpoint, self.allow_plain_http).context("log.state_store.endpoint")?;
        if self.path_style {
            let path = format!("{}/{bucket}", url.path().trim_end_matches('/'));
            url.set_path(&path);
            return Ok(url);
        }
        ensure!(
            url.domain().is_some(),
            "log.state_store.path_style: `{endpoint}` has no name that the bucket's could stand before; set it to true"
        );
        let host = format!("{bucket}.{}", url.domain().unwrap_or_default());
        url.set_host(Some(&host)).with_context(|| format!("log.state: `{host}` is no host"))?;
        Ok(url)
    }
}

/// Whether it is a name that needs no encoding anywhere, and leads nowhere else.
fn is_plain(name: &str) -> bool {
    let is_of_names = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(is_of_names)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Spoil = fn(&mut StateStore);

    fn store() -> StateStore {
        StateStore { region: "eu-central-1".into(), keys_file: "aws.toml".into(), ..StateStore::default() }
    }

    #[test]
    fn a_bucket_is_asked_where_it_is() {
        let key = Path::new("role.key");
        let mut store = store();
        store.check(Path::new("s3://state"), key).unwrap();
        assert_eq!(store.address("state").unwrap().as_str(), "https://state.s3.eu-central-1.amazonaws.com/");
        store.endpoint = "https://storage.googleapis.com".into();
        assert_eq!(store.address("state").unwrap().as_str(), "https://state.storage.googleapis.com/");
        (store.endpoint, store.path_style) = ("http://127.0.0.1:9000/".into(), true);
        assert!(store.address("state").is_err(), "in the clear");
        store.allow_plain_http = true;
        assert_eq!(store.address("state").unwrap().as_str(), "http://127.0.0.1:9000/state");
        assert_eq!(bucket_of(Path::new("s3://state/kw/a/")), Some(("state", "kw/a")));
        assert_eq!(bucket_of(Path::new("s3://state")), Some(("state", "")));
        assert_eq!(bucket_of(Path::new("/mnt/state")), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let key = Path::new("role.key");
        StateStore::default().check(Path::new("/mnt/state"), Path::new("")).unwrap();
        let checked = |state: &str, key: &Path, spoil: Spoil| {
            let mut store = store();
            spoil(&mut store);
            format!("{:#}", store.check(Path::new(state), key).unwrap_err())
        };
        let cases: [(&str, Spoil, &str); 9] = [
            ("/mnt/state", |_| (), "only for log.state"),
            ("gs://state", |_| (), "neither a directory nor s3://"),
            ("s3://", |_| (), "no name of a bucket"),
            ("s3://state/a/../b", |_| (), "with single slashes"),
            ("s3://state", |store| store.region.clear(), "name the one"),
            ("s3://state", |store| store.keys_file = PathBuf::new(), "access_key_id"),
            ("s3://state", |store| store.endpoint = "http://store.example".into(), "has to be https"),
            ("s3://state", |store| store.endpoint = "https://k:s@store.example".into(), "keys belong into keys_file"),
            ("s3://state", |store| store.endpoint = "https://192.0.2.1".into(), "path_style"),
        ];
        for (state, spoil, expected) in cases {
            let told = checked(state, key, spoil);
            assert!(told.starts_with("log.state") && told.contains(expected), "{told}");
        }
        assert!(checked("s3://state", Path::new(""), |_| ()).contains("log.key_file: what is kept"));
    }
}
