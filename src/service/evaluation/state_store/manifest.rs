//! The object that makes parts a snapshot: it is written when they all are there, names each with its digest, and carries the MAC
//! of the role that wrote it. So half a snapshot is none, and neither is one that somebody else put together.
//!
//! It is a line of JSON, and a line with the MAC of that one: HMAC-SHA256 with the role's key over “keywatch state 1”, a zero
//! byte, and the line, in 64 hexadecimal digits.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use hmac::{Hmac, KeyInit, Mac};
use keywatch_store::Position;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::limits::{STATE_PART_BYTES_MAX, STATE_PARTS_MAX};

/// Keeps this MAC apart from all others under the same key.
const DOMAIN: &[u8] = b"keywatch state 1\0";

/// The key of the role, with which its messages are signed too.
#[derive(Clone)]
pub(super) struct Key([u8; 32]);

impl Key {
    /// That of a file of 64 hexadecimal digits.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub(super) fn read(file: &Path) -> anyhow::Result<Key> {
        let text = fs::read_to_string(file).with_context(|| format!("log.key_file: cannot read {}", file.display()))?;
        let mut key = [0; 32];
        let is_key = hex::decode_to_slice(text.trim(), &mut key).is_ok();
        ensure!(is_key, "log.key_file: {} is not 64 hexadecimal digits", file.display());
        Ok(Key(key))
    }

    fn mac(&self, line: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(DOMAIN);
        mac.update(line.as_bytes());
        mac
    }
}

/// A snapshot in a bucket.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// Which partition and which state it is of.
    pub(super) place: String,
    /// Position of the next record.
    pub(super) position: u64,
    /// What it is made of, in order.
    pub(super) parts: Vec<Part>,
}

/// An object that holds a part of one.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// Its name below the place.
    pub(super) name: String,
    /// How long it is.
    pub(super) bytes: usize,
    /// 64 hexadecimal digits.
    pub(super) sha256: String,
}

impl Part {
    /// A part of that name and content.
    pub(super) fn of(name: String, content: &[u8]) -> Part {
        Part { name, bytes: content.len(), sha256: digest(content) }
    }

    /// Whether that is what was written.
    pub(super) fn is(&self, content: &[u8]) -> bool {
        self.bytes == content.len() && self.sha256 == digest(content)
    }
}

fn digest(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

impl Manifest {
    /// As it is written.
    ///
    /// # Errors
    /// None that is known.
    pub(super) fn sealed(&self, key: &Key) -> anyhow::Result<String> {
        let line = serde_json::to_string(self)?;
        let mac = hex::encode(key.mac(&line).finalize().into_bytes());
        Ok(format!("{line}\n{mac}\n"))
    }

    /// The one that is asked for. Nothing of it is looked at before the MAC is.
    ///
    /// # Errors
    /// It is cut off, not of this role, or of another place or position.
    pub(super) fn open(sealed: &[u8], key: &Key, place: &str, position: Position) -> anyhow::Result<Manifest> {
        let text = std::str::from_utf8(sealed).context("it is no text")?;
        let (line, mac) = text.split_once('\n').context("it is cut off")?;
        let mac = hex::decode(mac.trim_end()).context("its MAC is none")?;
        ensure!(key.mac(line).verify_slice(&mac).is_ok(), "it does not carry the MAC of this role's key");
        let manifest: Manifest = serde_json::from_str(line)?;
        let is_asked_for = manifest.place == place && manifest.position == position.0;
        ensure!(is_asked_for, "it is position {} of {}", manifest.position, manifest.place);
        let fits = manifest.parts.iter().all(|part| part.bytes <= STATE_PART_BYTES_MAX);
        ensure!(fits && manifest.parts.len() <= STATE_PARTS_MAX, "it is larger than any");
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p8_only_what_this_role_wrote_for_this_place_counts() {
        let (key, other) = (Key([7; 32]), Key([8; 32]));
        let part = Part::of("00000000000000000030-a.0000".into(), b"windows");
        assert!(part.is(b"windows") && !part.is(b"Windows") && !part.is(b"window"));
        let manifest = Manifest { place: "keywatch-partition-3/window-state".into(), position: 30, parts: vec![part] };
        let sealed = manifest.sealed(&key).unwrap();
        let open = |sealed: &str, key: &Key, place: &str, position: u64| {
            Manifest::open(sealed.as_bytes(), key, place, Position(position)).map_err(|error| format!("{error:#}"))
        };
        let place = manifest.place.as_str();
        assert_eq!(open(&sealed, &key, place, 30).unwrap(), manifest);
        let (line, _) = sealed.split_once('\n').unwrap();
        let without_domain = {
            let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).unwrap();
            mac.update(line.as_bytes());
            hex::encode(mac.finalize().into_bytes())
        };
        for (sealed, key, place, position, expected) in [
            (sealed.clone(), &other, place, 30, "MAC of this role's key"),
            (sealed.replace("a.0000", "b.0000"), &key, place, 30, "MAC of this role's key"),
            (format!("{line}\n{without_domain}\n"), &key, place, 30, "MAC of this role's key"),
            (format!("{line}\n"), &key, place, 30, "MAC of this role's key"),
            (format!("{line}\nno mac\n"), &key, place, 30, "its MAC is none"),
            (line.to_owned(), &key, place, 30, "cut off"),
            (sealed.clone(), &key, "keywatch-partition-2/window-state", 30, "position 30 of keywatch-partition-3"),
            (sealed.clone(), &key, place, 31, "position 30 of"),
        ] {
            let told = open(&sealed, key, place, position).unwrap_err();
            assert!(told.contains(expected), "{told}");
        }
    }
}
