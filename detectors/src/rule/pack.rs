//! Packs: rules read from a directory, or shipped inside the binary. A rule without events that it fires on and events
//! that it stays quiet on does not load.

use std::fs;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use keywatch_store::{Event, line};

use super::{Rule, file};
use crate::error::Error;
use crate::limits;

const EVENTS_FROM: &str = "`keywatch detectors record` cuts events out of history";

static SHIPPED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/rules");

/// The rules inside this binary, by id.
///
/// # Errors
/// As [`load`].
pub fn shipped() -> Result<Vec<Rule>, Error> {
    let mut files = Vec::new();
    collect_shipped(&SHIPPED, &mut files);
    read_all(files.into_iter(), &|path| {
        let file = SHIPPED.get_file(path);
        file.map(|file| String::from_utf8_lossy(file.contents()).into_owned()).ok_or_else(|| missing(path))
    })
}

/// The rules of a directory (`<family>/<name>.sql`), by id.
///
/// # Errors
/// [`Error::File`] naming a file that cannot be read or an event line that is none, [`Error::FrontMatter`] naming the
/// field at fault.
pub fn load(directory: &Path) -> Result<Vec<Rule>, Error> {
    let mut files = Vec::new();
    collect_some(directory, &mut files)?;
    read_all(files.into_iter(), &|path| read_file(&directory.join(path)))
}

/// One rule from its `.sql` file; its id is the name of its folder and its own.
///
/// # Errors
/// As [`load`].
pub fn load_one(file: &Path) -> Result<Rule, Error> {
    let id = id_of(file);
    let base = file.with_extension("");
    read(&id, &base.display().to_string(), &|path| read_file(Path::new(path)))
}

/// The rules of a directory like [`load`], those among them that have no events yet included.
///
/// # Errors
/// As [`load`], but for missing event files.
pub fn load_drafts(directory: &Path) -> Result<Vec<Rule>, Error> {
    let mut files = Vec::new();
    collect_some(directory, &mut files)?;
    let whole =
        |base: &str| ["fires", "quiet"].iter().all(|kind| directory.join(format!("{base}.{kind}.jsonl")).exists());
    let text = |path: &str| read_file(&directory.join(path));
    let read = |(id, base): (String, String)| match whole(&base) {
        true => read(&id, &base, &text),
        false => Rule::parse(&id, &text(&format!("{base}.sql"))?),
    };
    let mut rules = files.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    rules.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(rules)
}

/// The `.sql` files of a directory of rules, in order.
///
/// # Errors
/// [`Error::File`] when it cannot be read.
pub fn files(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    collect_some(directory, &mut files)?;
    Ok(files.into_iter().map(|(_, base)| directory.join(format!("{base}.sql"))).collect())
}

/// `family/name`, from the path of a `.sql` file.
pub(super) fn id_of(file: &Path) -> String {
    let named =
        |part: Option<&std::ffi::OsStr>| part.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    format!("{}/{}", named(file.parent().and_then(Path::file_name)), named(file.file_stem()))
}

/// Reads the text of one file of a pack.
type ReadText<'a> = dyn Fn(&str) -> Result<String, Error> + 'a;

fn read_all(files: impl Iterator<Item = (String, String)>, text: &ReadText<'_>) -> Result<Vec<Rule>, Error> {
    let mut rules = files.map(|(id, base)| read(&id, &base, text)).collect::<Result<Vec<_>, _>>()?;
    if rules.len() > limits::RULES_MAX {
        let problem = format!("{} rules, at most {} are loaded", rules.len(), limits::RULES_MAX);
        return Err(Error::File { file: "rules".to_owned(), problem });
    }
    rules.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(rules)
}

fn read(id: &str, base: &str, text: &ReadText<'_>) -> Result<Rule, Error> {
    let (header, sql) = file::split(id, &text(&format!("{base}.sql"))?)?;
    let events = |kind: &str| {
        let file = format!("{base}.{kind}.jsonl");
        read_events(&file, &text(&file)?)
    };
    Ok(Rule { id: id.to_owned(), header, sql, fires: events("fires")?, quiet: events("quiet")? })
}

fn read_events(file: &str, text: &str) -> Result<Vec<Event>, Error> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let events = lines.map(|(number, text)| {
        line::read(text.as_bytes())
            .map_err(|error| Error::File { file: file.to_owned(), problem: format!("line {}: {error}", number + 1) })
    });
    let events = events.collect::<Result<Vec<_>, _>>()?;
    if events.is_empty() {
        return Err(Error::File { file: file.to_owned(), problem: "holds no event".to_owned() });
    }
    Ok(events)
}

pub(super) fn read_file(path: &Path) -> Result<String, Error> {
    let refuse = |problem: String| Error::File { file: path.display().to_string(), problem };
    let size = fs::metadata(path).map_err(|error| refuse(unreadable(path, &error)))?.len();
    if size > limits::RULE_FILE_BYTES_MAX {
        return Err(refuse(format!("{size} bytes, at most {} are read", limits::RULE_FILE_BYTES_MAX)));
    }
    fs::read_to_string(path).map_err(|error| refuse(error.to_string()))
}

/// Why a file of a pack cannot be read. Whoever has written a rule alone is told where its events come from.
fn unreadable(path: &Path, error: &std::io::Error) -> String {
    let is_missing = error.kind() == std::io::ErrorKind::NotFound;
    if is_missing && path.extension().is_some_and(|extension| extension == "jsonl") {
        return format!("is not there, and a rule without its events does not load; {EVENTS_FROM}");
    }
    error.to_string()
}

fn missing(path: &str) -> Error {
    Error::File {
        file: path.to_owned(),
        problem: "a rule needs <name>.sql, <name>.fires.jsonl and <name>.quiet.jsonl".to_owned(),
    }
}

fn collect_some(directory: &Path, files: &mut Vec<(String, String)>) -> Result<(), Error> {
    collect(directory, directory, files)?;
    if files.is_empty() {
        let problem = "holds no <family>/<name>.sql".to_owned();
        return Err(Error::File { file: directory.display().to_string(), problem });
    }
    Ok(())
}

fn collect(root: &Path, directory: &Path, files: &mut Vec<(String, String)>) -> Result<(), Error> {
    let refuse =
        |error: std::io::Error| Error::File { file: directory.display().to_string(), problem: error.to_string() };
    let mut entries: Vec<PathBuf> = fs::read_dir(directory)
        .map_err(refuse)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(refuse)?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "sql") {
            let id = path.strip_prefix(root).unwrap_or(&path).with_extension("").display().to_string();
            files.push((id.clone(), id));
        }
    }
    Ok(())
}

fn collect_shipped(directory: &Dir<'_>, files: &mut Vec<(String, String)>) {
    for file in directory.files().filter(|file| file.path().extension().is_some_and(|extension| extension == "sql")) {
        let id = file.path().with_extension("").display().to_string();
        files.push((id.clone(), id));
    }
    for inner in directory.dirs() {
        collect_shipped(inner, files);
    }
}
