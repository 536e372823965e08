//! The files of this project, as a test sees them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The clone.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the project, relative to the root: what git tracks or would track, or, without git, all but hidden
/// directories and build output.
pub(crate) fn files() -> Vec<PathBuf> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listed = Command::new("git").args(arguments).current_dir(root()).output();
    let mut files: Vec<PathBuf> = match listed {
        Ok(listed) if listed.status.success() => {
            let names = listed.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
            names.map(|name| PathBuf::from(String::from_utf8(name.to_vec()).unwrap())).collect()
        }
        _ => walk(root()),
    };
    files.retain(|file| root().join(file).is_file());
    files.sort();
    assert!(files.len() > 50, "the project's files were not found: {files:?}");
    files
}

fn walk(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with(".git") && name != "target" {
            files.extend(walk(&path));
        } else if path.is_file() {
            files.push(path.strip_prefix(root()).unwrap().to_owned());
        }
    }
    files
}

/// The files with one of these extensions, with their text.
pub(crate) fn texts(extensions: &[&str]) -> Vec<(PathBuf, String)> {
    let has = |file: &PathBuf| file.extension().is_some_and(|found| extensions.iter().any(|wanted| found == *wanted));
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(root().join(&file)).unwrap();
        (file, text)
    };
    files().into_iter().filter(has).map(read).collect()
}
