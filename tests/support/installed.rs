//! Tools of Debian's that a test needs and a machine may lack: where they are, or a line that says which test is left out.

use std::path::PathBuf;

use crate::dashboards::left_out;

/// A tool: where the variable says, else the first of these names on the path; `None`, said on standard error, where it is
/// neither.
pub(crate) fn installed(variable: &str, names: &[&str], package: &str) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(variable).map(PathBuf::from) {
        assert!(named.is_file(), "{variable} says {}, and there is no file", named.display());
        return Some(named);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut places = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let found = places.find(|file| file.is_file());
    if found.is_none() {
        let names = names.join(" or ");
        left_out(&format!("{names} is not installed (`.ci/install-package {package}`, or {variable} names another)"));
    }
    found
}
