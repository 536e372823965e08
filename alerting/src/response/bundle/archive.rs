//! The files of a bundle: each a gzip member of its own that holds one entry of a tar archive (POSIX ustar). Members can be
//! put together in any combination, so that what has not changed is not packed again. Knows nothing of what is in a file.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::canonical;

const BLOCK_BYTES: usize = 512;

/// One file, packed.
pub(super) struct Member {
    /// Its path in the bundle.
    pub(super) name: &'static str,
    /// SHA-256 of its content, hexadecimal.
    pub(super) sha256: String,
    packed: Vec<u8>,
}

/// Packs a JSON file.
pub(super) fn member(name: &'static str, value: &Value) -> Member {
    let text = canonical(value);
    let mut entry = Vec::with_capacity(text.len() + 2 * BLOCK_BYTES);
    entry.extend_from_slice(&header(name, text.len()));
    entry.extend_from_slice(text.as_bytes());
    entry.resize(entry.len().next_multiple_of(BLOCK_BYTES), 0);
    Member { name, sha256: hex::encode(Sha256::digest(text.as_bytes())), packed: packed(&entry) }
}

/// A whole archive of these files.
pub(super) fn join(members: &[&Member]) -> Vec<u8> {
    let mut bytes: Vec<u8> = members.iter().map(|member| member.packed.as_slice()).collect::<Vec<_>>().concat();
    // Two empty blocks end an archive.
    bytes.extend(packed(&[0; 2 * BLOCK_BYTES]));
    bytes
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes what is written to it")
}

/// A ustar header: name, mode, owner, group, length, time, checksum, type. Always of the same time, so that the same file
/// gives the same bytes.
fn header(name: &str, length: usize) -> [u8; BLOCK_BYTES] {
    let mut header = [0; BLOCK_BYTES];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{length:011o}\0"));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\0");
    put(263, "00");
    let sum: u32 = header.iter().copied().map(u32::from).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}
