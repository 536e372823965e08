//! Golden files: compared byte for byte, written anew with `UPDATE_EXPECT=1`.

use std::path::Path;

/// Compares `actual` with the file, or writes it when blessing.
pub(crate) fn check(file: &Path, actual: &str) {
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(file, actual).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    if expected == actual {
        return;
    }
    let differs = expected.lines().zip(actual.lines()).position(|(expected, actual)| expected != actual);
    let line = differs.unwrap_or_else(|| expected.lines().count().min(actual.lines().count()));
    let (old, new) = (expected.lines().nth(line), actual.lines().nth(line));
    panic!("{}:{} differs; `make docs` writes it anew\n  stands: {old:?}\n  should: {new:?}", file.display(), line + 1);
}
