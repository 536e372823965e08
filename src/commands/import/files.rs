//! What is read: files, the files of directories, standard input; gzip and Zstandard undone, whatever a file is called.
//!
//! It knows no format of records. Memory does not grow with what a file becomes: it is a stream.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context as _, ensure};
use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;

use crate::limits::{IMPORT_DIRECTORY_DEPTH_MAX, IMPORT_FILES_MAX};
use crate::output;

/// Files in the order in which they are read: directories are gone through by name, without what is hidden.
///
/// # Errors
/// One is not there, or there are too many.
pub(super) fn listed(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if is_directory(path)? {
            let before = files.len();
            directory(path, 1, &mut files)?;
            ensure!(files.len() > before, "{} holds no file", path.display());
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn is_directory(path: &Path) -> anyhow::Result<bool> {
    let about = || format!("cannot import {}", path.display());
    Ok(path != Path::new("-") && path.metadata().with_context(about)?.is_dir())
}

/// Links within a directory are not followed, so that none leads out of it or around in a circle.
fn directory(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let about = || format!("cannot import {}", path.display());
    ensure!(depth <= IMPORT_DIRECTORY_DEPTH_MAX, "{}: more than {IMPORT_DIRECTORY_DEPTH_MAX} deep", path.display());
    let mut entries = path.read_dir().with_context(about)?.collect::<io::Result<Vec<_>>>().with_context(about)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().with_context(about)?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if kind.is_dir() {
            directory(&entry.path(), depth + 1, files)?;
        } else if kind.is_file() {
            ensure!(files.len() < IMPORT_FILES_MAX, "{}: more than {IMPORT_FILES_MAX} files", path.display());
            files.push(entry.path());
        }
    }
    Ok(())
}

/// A bar over the bytes of all files as they lie on disk.
pub(super) fn progress(files: &[PathBuf]) -> ProgressBar {
    let sizes = files.iter().map(|file| Some(file.metadata().ok().filter(std::fs::Metadata::is_file)?.len()));
    output::progress_of_bytes(sizes.sum())
}

/// Why a compressed file ended before its end, once it did.
#[derive(Clone, Default)]
pub(super) struct Damage(Rc<RefCell<Option<String>>>);

impl Damage {
    /// What is wrong, if something is.
    pub(super) fn take(&self) -> Option<String> {
        self.0.borrow_mut().take()
    }
}

/// The bytes of a file as they were before they were compressed.
///
/// # Errors
/// It cannot be opened or read.
pub(super) fn open(file: &Path, bar: &ProgressBar) -> io::Result<(Box<dyn BufRead>, Damage)> {
    if file == Path::new("-") {
        return decompressed(bar.wrap_read(io::stdin()));
    }
    decompressed(bar.wrap_read(File::open(file)?))
}

/// Undoes gzip (RFC 1952) and Zstandard (RFC 8878), which are known by their first bytes.
fn decompressed(mut input: impl Read + 'static) -> io::Result<(Box<dyn BufRead>, Damage)> {
    let mut start = Vec::new();
    input.by_ref().take(4).read_to_end(&mut start)?;
    let damage = Damage::default();
    let whole = Cursor::new(start.clone()).chain(input);
    let reader: Box<dyn BufRead> = match start.as_slice() {
        [0x1f, 0x8b, ..] => reported(MultiGzDecoder::new(whole), "gzip", &damage),
        [0x28, 0xb5, 0x2f, 0xfd] => reported(zstd::Decoder::new(whole)?, "Zstandard", &damage),
        _ => Box::new(BufReader::new(whole)),
    };
    Ok((reader, damage))
}

fn reported(decoder: impl Read + 'static, name: &'static str, damage: &Damage) -> Box<dyn BufRead> {
    Box::new(BufReader::new(ToDamage { decoder, name, damage: damage.clone() }))
}

/// Ends at the first byte that cannot be decompressed, and says why: what stood before it is whole.
struct ToDamage<R> {
    decoder: R,
    name: &'static str,
    damage: Damage,
}

impl<R: Read> Read for ToDamage<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.decoder.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    *self.damage.0.borrow_mut() = Some(format!("the {} is damaged or cut: {error}", self.name));
                    return Ok(0);
                }
                read => return read,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: Vec<u8>) -> (Vec<u8>, Option<String>) {
        let (mut reader, damage) = decompressed(Cursor::new(bytes)).unwrap();
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        (read, damage.take())
    }

    #[test]
    fn a_file_is_known_by_its_first_bytes() {
        let text = b"{\"a\":1}\n{\"a\":2}\n".to_vec();
        let zstd = zstd::encode_all(text.as_slice(), 3).unwrap();
        let twice = [gzip(&text[..8]), gzip(&text[8..])].concat();
        for file in [text.clone(), gzip(&text), twice, zstd] {
            assert_eq!(read(file), (text.clone(), None));
        }
        for short in [&b""[..], b"{", b"\x1f", b"[1]"] {
            assert_eq!(read(short.to_vec()), (short.to_vec(), None));
        }
    }

    #[test]
    fn what_stands_before_damage_is_read_and_the_damage_is_told() {
        let text: Vec<u8> =
            (0..40_000_u32).flat_map(|number| format!("{}\n", number * 7919 % 10_007).into_bytes()).collect();
        for whole in [gzip(&text), zstd::encode_all(text.as_slice(), 3).unwrap()] {
            let (part, damage) = read(whole[..whole.len() - 20].to_vec());
            assert!(text.starts_with(&part), "what was read is as it was");
            assert!(damage.unwrap().contains("damaged or cut"));
        }
        let (part, damage) = read(b"\x1f\x8bno gzip at all".to_vec());
        assert!(part.is_empty() && damage.is_some());
    }

    #[test]
    fn directories_are_gone_through_by_name_without_what_is_hidden() {
        let here = tempfile::tempdir().unwrap();
        for file in ["b.json", "a/2.json", "a/1.json.gz", ".hidden", "a/.b"] {
            let path = here.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        std::os::unix::fs::symlink(here.path(), here.path().join("a/round")).unwrap();
        let files = listed(&[here.path().to_owned(), PathBuf::from("-")]).unwrap();
        let names: Vec<_> = files.iter().map(|file| file.strip_prefix(here.path()).unwrap_or(file)).collect();
        assert_eq!(names, ["a/1.json.gz", "a/2.json", "b.json", "-"].map(Path::new));
        assert_eq!(progress(&files[..3]).length(), Some(3));
        let empty = tempfile::tempdir().unwrap();
        assert!(listed(&[empty.path().to_owned()]).unwrap_err().to_string().contains("holds no file"));
        assert!(listed(&[empty.path().join("none")]).is_err());
    }
}
