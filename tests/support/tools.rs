//! Tools that the Makefile installs outside the clone: where they are. Debian's are looked for in `installed`.

use std::path::{Path, PathBuf};

/// What `variable` names, else `place` within the folder into which the Makefile installs; it may not be there.
pub(crate) fn cached(variable: &str, place: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| folder().join(place), PathBuf::from)
}

/// What `.ci/versions` says of a name, as in `OPA_VERSION`.
pub(crate) fn version(name: &str) -> &'static str {
    let mut lines = include_str!("../../.ci/versions").lines().filter_map(|line| line.split_once('='));
    lines.find(|(said, _)| *said == name).unwrap_or_else(|| panic!(".ci/versions has no {name}")).1
}

/// The folder into which the Makefile installs.
pub(crate) fn folder() -> PathBuf {
    let home = std::env::var_os("HOME").unwrap_or_else(|| "/root".into());
    Path::new(&home).join(".cache/keywatch/tools")
}
