//! The storage crate's manifests: which files a keyspace is made of, and the checksum of each; read by ourselves.
//!
//! The crate deletes what its manifest does not name, and does not check the manifest itself. So it is checked here before
//! the crate may open it.
//!
//! ```text
//! <keyspace>/current   = version u64 · XXH3-128 of v<version> u128 · 0                (integers are little-endian)
//! <keyspace>/v<N>      = sections · "TOC!" · count u32 · count × ( position u64 · length u64 · name (u16 length, bytes) )
//!                      · "SFA!" · 1 · 0 · checksum u128 · position of the TOC u64 · length of the TOC u64
//! section `tables`     = levels u8 × ( runs u8 × ( tables u32 × ( id u64 · 0 · XXH3-128 u128 · sequence u64 ) ) )
//! section `blob_files` = count u32 × ( id u64 · 0 · XXH3-128 u128 )
//! ```

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::FileDamage;
use crate::limits::FILE_PIECE_BYTES;

const TABLES: &[u8] = b"tables";
const BLOBS: &[u8] = b"blob_files";
const TOC: &[u8] = b"TOC!";

/// Bytes of what a manifest says of one file: id, kind of checksum, checksum.
const FILE_BYTES: usize = 8 + 1 + 16;

/// A file that a manifest names.
pub(super) struct Named {
    pub(super) path: PathBuf,
    checksum: u128,
}

/// The files of a keyspace's directory, or what is wrong with its manifest. A keyspace that was only begun has none.
pub(super) fn read(keyspace: &Path) -> Result<Vec<Named>, FileDamage> {
    let current = keyspace.join("current");
    let bytes = match fs::read(&current) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound && is_begun(keyspace) => return Ok(Vec::new()),
        Err(error) => return Err(FileDamage::unreadable(&current, &error)),
    };
    let damaged = || FileDamage::new(&current, "it does not name a version of the keyspace");
    let (version, rest) = bytes.split_first_chunk().ok_or_else(damaged)?;
    let (checksum, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
    if rest != [0] {
        return Err(damaged());
    }
    let manifest = keyspace.join(format!("v{}", u64::from_le_bytes(*version)));
    let bytes = fs::read(&manifest).map_err(|error| FileDamage::unreadable(&manifest, &error))?;
    if xxh3_128(&bytes) != u128::from_le_bytes(*checksum) {
        return Err(FileDamage::new(&manifest, "it is not what `current` gives the checksum of"));
    }
    let named = named(&bytes, keyspace).ok_or_else(|| FileDamage::new(&manifest, "it is malformed"))?;
    match named.iter().find(|file| !file.path.is_file()) {
        Some(missing) => Err(FileDamage::new(&missing.path, "it is missing")),
        None => Ok(named),
    }
}

/// No table has been written yet.
fn is_begun(keyspace: &Path) -> bool {
    ["tables", "blobs"].iter().all(|folder| match fs::read_dir(keyspace.join(folder)) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == ErrorKind::NotFound,
    })
}

fn named(manifest: &[u8], keyspace: &Path) -> Option<Vec<Named>> {
    let mut named = Vec::new();
    let mut tables = Bytes(section(manifest, TABLES)?);
    for _ in 0..tables.u8()? {
        for _ in 0..tables.u8()? {
            for _ in 0..tables.u32()? {
                named.push(tables.file(&keyspace.join("tables"))?);
                tables.u64()?;
            }
        }
    }
    let mut blobs = Bytes(section(manifest, BLOBS)?);
    for _ in 0..blobs.u32()? {
        named.push(blobs.file(&keyspace.join("blobs"))?);
    }
    Some(named)
}

fn section<'a>(manifest: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    sections(manifest)?.into_iter().find(|(name, _)| *name == wanted).map(|(_, content)| content)
}

/// Names and contents.
fn sections(manifest: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let (toc_at, _) = manifest.get(manifest.len().checked_sub(16)?..)?.split_first_chunk()?;
    let mut toc = Bytes(manifest.get(usize::try_from(u64::from_le_bytes(*toc_at)).ok()?..)?);
    if toc.take(4)? != TOC {
        return None;
    }
    let mut sections = Vec::new();
    for _ in 0..toc.u32()? {
        let (at, length) = (usize::try_from(toc.u64()?).ok()?, usize::try_from(toc.u64()?).ok()?);
        let name_bytes = u16::from_le_bytes(toc.array()?);
        sections.push((toc.take(usize::from(name_bytes))?, manifest.get(at..at.checked_add(length)?)?));
    }
    Some(sections)
}

/// Writes the manifest of a keyspace anew from what its newest readable version says, without the tables that are missing
/// or, with `drop_damaged`, do not match their checksums. For a directory that is nobody's evidence.
pub(super) fn mend(keyspace: &Path, drop_damaged: bool) -> std::io::Result<()> {
    if read(keyspace).is_ok() && !drop_damaged {
        return Ok(());
    }
    let mut versions: Vec<(u64, Vec<u8>)> = Vec::new();
    for entry in fs::read_dir(keyspace)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix('v')).and_then(|number| number.parse().ok());
        if let Some(number) = number {
            versions.push((number, fs::read(entry.path())?));
        }
    }
    versions.sort();
    let readable = versions.into_iter().rev().find_map(|(number, bytes)| {
        let sections = sections(&bytes)?;
        let kept = |file: &Named| file.path.is_file() && !(drop_damaged && file.check(|_| ()).is_err());
        let mended = sections.into_iter().map(|(name, content)| {
            let content = match name {
                TABLES => tables_without(content, &keyspace.join("tables"), kept)?,
                BLOBS => blobs_without(content, &keyspace.join("blobs"), kept)?,
                _ => content.to_vec(),
            };
            Some((name.to_vec(), content))
        });
        Some((number, archive(&mended.collect::<Option<Vec<_>>>()?)))
    });
    let Some((number, bytes)) = readable else { return Err(std::io::Error::other("no version of it can be read")) };
    fs::write(keyspace.join(format!("v{number}")), &bytes)?;
    let current = [number.to_le_bytes().as_slice(), &xxh3_128(&bytes).to_le_bytes(), &[0]].concat();
    fs::write(keyspace.join("current"), current)
}

fn tables_without(content: &[u8], folder: &Path, kept: impl Fn(&Named) -> bool) -> Option<Vec<u8>> {
    let mut bytes = Bytes(content);
    let levels = bytes.u8()?;
    let mut out = vec![levels];
    for _ in 0..levels {
        let mut runs = Vec::new();
        for _ in 0..bytes.u8()? {
            let mut run = Vec::new();
            for _ in 0..bytes.u32()? {
                let entry = bytes.0.get(..FILE_BYTES + 8)?;
                let file = bytes.file(folder)?;
                bytes.u64()?;
                if kept(&file) {
                    run.push(entry);
                }
            }
            runs.push(run);
        }
        runs.retain(|run| !run.is_empty());
        out.push(u8::try_from(runs.len()).ok()?);
        for run in runs {
            out.extend(u32::try_from(run.len()).ok()?.to_le_bytes());
            run.into_iter().for_each(|entry| out.extend(entry));
        }
    }
    Some(out)
}

fn blobs_without(content: &[u8], folder: &Path, kept: impl Fn(&Named) -> bool) -> Option<Vec<u8>> {
    let mut bytes = Bytes(content);
    let mut entries = Vec::new();
    for _ in 0..bytes.u32()? {
        let entry = bytes.0.get(..FILE_BYTES)?;
        if kept(&bytes.file(folder)?) {
            entries.push(entry);
        }
    }
    let count = u32::try_from(entries.len()).ok()?.to_le_bytes();
    Some([count.as_slice(), &entries.concat()].concat())
}

fn archive(sections: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut toc = TOC.to_vec();
    toc.extend(u32::try_from(sections.len()).expect("a manifest has few sections").to_le_bytes());
    for (name, content) in sections {
        toc.extend((out.len() as u64).to_le_bytes());
        toc.extend((content.len() as u64).to_le_bytes());
        toc.extend(u16::try_from(name.len()).expect("names of sections are short").to_le_bytes());
        toc.extend(name);
        out.extend(content);
    }
    let toc_at = out.len() as u64;
    out.extend(&toc);
    out.extend(b"SFA!\x01\x00");
    out.extend(xxh3_128(&toc).to_le_bytes());
    out.extend(toc_at.to_le_bytes());
    out.extend((toc.len() as u64).to_le_bytes());
    out
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn file(&mut self, folder: &Path) -> Option<Named> {
        let id = self.u64()?;
        if self.u8()? != 0 {
            return None;
        }
        Some(Named { path: folder.join(id.to_string()), checksum: u128::from_le_bytes(self.array()?) })
    }
}

impl Named {
    /// Reads the whole file and holds it against its checksum, telling `progress` the bytes of each piece.
    pub(super) fn check(&self, mut progress: impl FnMut(u64)) -> Result<(), FileDamage> {
        let unreadable = |error: std::io::Error| FileDamage::unreadable(&self.path, &error);
        let mut file = fs::File::open(&self.path).map_err(unreadable)?;
        let mut piece = vec![0; FILE_PIECE_BYTES];
        let mut checksum = Xxh3::new();
        loop {
            let read = file.read(&mut piece).map_err(unreadable)?;
            if read == 0 {
                break;
            }
            checksum.update(&piece[..read]);
            progress(read as u64);
        }
        if checksum.digest128() != self.checksum {
            return Err(FileDamage::new(&self.path, "its checksum does not match"));
        }
        Ok(())
    }
}
