//! The chain of batches: how a batch is framed, hashed, linked to the one before and signed by its writer.
//!
//! Pure code: it knows nothing of files, clocks or threads. A batch is two byte strings, its *head* and its *lines*. The
//! head holds a row a record (system, log time, length of its line, id, fingerprint), so that a log can be opened,
//! positioned and checked for repeats without reading a line.
//!
//! ```text
//! head  = version u8 · topic u8 · role (u8 length, bytes) · first u64 · count u32 · previous hash [32]
//!       · SHA-256 of the lines [32] · systems (u16 count, each u16 length, bytes)
//!       · count × ( system u16 · log time i64 · line length u32 · event id [16] · fingerprint [16] )
//!       · hash [32] = SHA-256 of everything before it
//!       · MAC [32]  = HMAC-SHA256 with the role's key over BATCH_DOMAIN · hash
//! lines = the event lines one after the other, each ended by a line feed (counted in its length)
//! ```
//!
//! Integers are big-endian. `previous` is the hash of the batch before in the same topic, [`GENESIS`] for the first.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::log::admission::Fingerprint;
use crate::{Error, EventId, Instant, Position, Topic};

/// Version of the framing that is written; it is the first byte of a head.
pub const VERSION: u8 = 1;

/// What a batch's hash and MAC are: 32 bytes.
pub type Hash = [u8; 32];

/// The `previous` of a topic's first batch.
pub const GENESIS: Hash = [0; 32];

const BATCH_DOMAIN: &[u8] = b"keywatch batch 1\0";
const VALUE_DOMAIN: &[u8] = b"keywatch value 1\0";
const ID_DOMAIN: &[u8] = b"keywatch id 1\0";
const ROW_BYTES: usize = 2 + 8 + 4 + 16 + 16;
const SEAL_BYTES: usize = 64;

/// The MAC key of a writer role.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(secret)")
    }
}

impl Key {
    /// From 32 secret bytes.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "HMAC takes a key of any length")]
    pub fn new(secret: &[u8; 32]) -> Key {
        Key(Hmac::new_from_slice(secret).expect("HMAC takes a key of any length"))
    }

    fn over(&self, domain: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(domain);
        for part in parts {
            mac.update(part);
        }
        mac
    }

    /// The MAC of parts under a domain, each with its length before it.
    pub(crate) fn sign(&self, domain: &[u8], parts: &[&[u8]]) -> Hash {
        self.over_each(domain, parts).finalize().into_bytes().into()
    }

    /// Whether that is the MAC of the parts.
    pub(crate) fn is_signed(&self, domain: &[u8], parts: &[&[u8]], mac: &[u8]) -> bool {
        self.over_each(domain, parts).verify_slice(mac).is_ok()
    }

    fn over_each(&self, domain: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.over(domain, &[]);
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }

    /// A small value that is kept under `name`, followed by its MAC over both.
    #[must_use]
    pub fn seal_value(&self, name: &[u8], value: &[u8]) -> Vec<u8> {
        let length = (name.len() as u64).to_be_bytes();
        let mac = self.over(VALUE_DOMAIN, &[&length, name, value]).finalize().into_bytes();
        [value, &mac].concat()
    }

    /// The first 8 bytes of the MAC over an entry of the index of ids, whose parts have fixed lengths.
    pub(crate) fn tag_id(&self, parts: &[&[u8]]) -> [u8; 8] {
        let mac: [u8; 32] = self.over(ID_DOMAIN, parts).finalize().into_bytes().into();
        let (tag, _) = mac.split_first_chunk().expect("a MAC has more than 8 bytes");
        *tag
    }

    /// The value that [`Key::seal_value`] sealed; `None` when it is not what was sealed under this name.
    #[must_use]
    pub fn open_value<'a>(&self, name: &[u8], sealed: &'a [u8]) -> Option<&'a [u8]> {
        let (value, mac) = sealed.split_at_checked(sealed.len().checked_sub(32)?)?;
        let length = (name.len() as u64).to_be_bytes();
        self.over(VALUE_DOMAIN, &[&length, name, value]).verify_slice(mac).ok().map(|()| value)
    }
}

/// Which check of a batch failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntegrityError {
    /// Bytes that are no head, or the head of another place.
    #[error("the batch head is malformed ({0})")]
    Malformed(&'static str),
    /// The hash is not that of the bytes.
    #[error("the hash does not match the batch head")]
    Hash,
    /// The MAC is not that of the role's key.
    #[error("the MAC is not that of writer role `{0}`")]
    Mac(String),
    /// The role is not one whose key is at hand.
    #[error("writer role `{0}` is unknown here")]
    Role(String),
    /// The lines are not those that the head was sealed with.
    #[error("the lines do not match the hash in the batch head")]
    Lines,
    /// The batch does not continue the one before it.
    #[error("the chain link does not match the batch before")]
    Link,
    /// There is no batch where the chain says that there is one.
    #[error("the batch is missing")]
    Missing,
    /// A small value of the log is not what was sealed under its name.
    #[error("the stored value `{0}` does not carry the MAC of this log's writer")]
    Value(String),
}

impl IntegrityError {
    /// As an error of the room, at the first position of the batch.
    #[must_use]
    pub fn at(&self, first: Position) -> Error {
        Error::Tampered { position: first.0, problem: self.to_string() }
    }
}

/// What the head says of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Index into [`Head::systems`].
    pub system: u16,
    /// Log time.
    pub time: Instant,
    /// Bytes of its line, line feed included.
    pub line_bytes: u32,
    /// Its id.
    pub id: EventId,
    /// What it says, apart from log time and lateness.
    pub fingerprint: Fingerprint,
}

/// The head of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The topic it belongs to.
    pub topic: Topic,
    /// The role that wrote it.
    pub role: String,
    /// Position of its first record.
    pub first: Position,
    /// Hash of the batch before.
    pub previous: Hash,
    /// SHA-256 of its lines.
    pub lines_hash: Hash,
    /// The systems that its records belong to.
    pub systems: Vec<String>,
    /// A row a record.
    pub rows: Vec<Row>,
}

impl Head {
    /// The position after its last record.
    #[must_use]
    pub fn end(&self) -> Position {
        self.first.plus(self.rows.len())
    }

    /// The latest log time in it.
    #[must_use]
    pub fn latest(&self) -> Option<Instant> {
        self.rows.iter().map(|row| row.time).max()
    }

    /// The bytes to store, and the hash that the next batch links to.
    ///
    /// # Panics
    /// When a name, the systems or the records do not fit their length fields; the writer's limits are far below.
    #[must_use]
    pub fn seal(&self, key: &Key) -> (Vec<u8>, Hash) {
        let mut out = Vec::with_capacity(128 + self.rows.len() * ROW_BYTES + SEAL_BYTES);
        out.extend([VERSION, topic_number(self.topic)]);
        out.push(u8::try_from(self.role.len()).expect("a role name is short"));
        out.extend(self.role.as_bytes());
        out.extend(self.first.0.to_be_bytes());
        out.extend(u32::try_from(self.rows.len()).expect("a batch is limited in records").to_be_bytes());
        out.extend(self.previous);
        out.extend(self.lines_hash);
        out.extend(u16::try_from(self.systems.len()).expect("a batch is limited in systems").to_be_bytes());
        for system in &self.systems {
            out.extend(u16::try_from(system.len()).expect("a system name is limited").to_be_bytes());
            out.extend(system.as_bytes());
        }
        for row in &self.rows {
            out.extend(row.system.to_be_bytes());
            out.extend(row.time.0.to_be_bytes());
            out.extend(row.line_bytes.to_be_bytes());
            out.extend(row.id.0);
            out.extend(row.fingerprint);
        }
        let hash: Hash = Sha256::digest(&out).into();
        out.extend(hash);
        out.extend(key.over(BATCH_DOMAIN, &[&hash]).finalize().into_bytes());
        (out, hash)
    }

    /// Reads a head and checks its hash and its MAC. `role` is the writer whose `key` this is.
    ///
    /// # Errors
    /// The check that failed.
    pub fn open(bytes: &[u8], role: &str, key: &Key) -> Result<Head, IntegrityError> {
        let (body, seal) = split_seal(bytes)?;
        let (hash, mac) = seal.split_at(32);
        if Sha256::digest(body).as_slice() != hash {
            return Err(IntegrityError::Hash);
        }
        let head = parse(body)?;
        if head.role != role {
            return Err(IntegrityError::Role(head.role));
        }
        if key.over(BATCH_DOMAIN, &[hash]).verify_slice(mac).is_err() {
            return Err(IntegrityError::Mac(head.role));
        }
        Ok(head)
    }

    /// Reads a head and checks its hash, but not who wrote it; gives the hash too. For telling what a damaged log held.
    ///
    /// # Errors
    /// The check that failed.
    pub fn unsigned(bytes: &[u8]) -> Result<(Head, Hash), IntegrityError> {
        let (body, seal) = split_seal(bytes)?;
        let hash: Hash = Sha256::digest(body).into();
        if seal[..32] != hash {
            return Err(IntegrityError::Hash);
        }
        Ok((parse(body)?, hash))
    }

    /// Checks that `lines` are those that the head was sealed with.
    ///
    /// # Errors
    /// [`IntegrityError::Lines`].
    pub fn check_lines(&self, lines: &[u8]) -> Result<(), IntegrityError> {
        let lengths: u64 = self.rows.iter().map(|row| u64::from(row.line_bytes)).sum();
        if lengths != lines.len() as u64 || Sha256::digest(lines).as_slice() != self.lines_hash {
            return Err(IntegrityError::Lines);
        }
        Ok(())
    }

    /// Checks that it continues a batch with this hash and end.
    ///
    /// # Errors
    /// [`IntegrityError::Link`], [`IntegrityError::Missing`] when it begins further on.
    pub fn check_link(&self, end: Position, hash: &Hash) -> Result<(), IntegrityError> {
        if self.first > end {
            return Err(IntegrityError::Missing);
        }
        if self.first < end || self.previous != *hash {
            return Err(IntegrityError::Link);
        }
        Ok(())
    }
}

/// The hash that a sealed head states; only [`Head::open`] tells whether it is true.
///
/// # Errors
/// [`IntegrityError::Malformed`] when the bytes are too few.
pub fn stated_hash(bytes: &[u8]) -> Result<Hash, IntegrityError> {
    let (_, seal) = split_seal(bytes)?;
    seal.first_chunk().copied().ok_or(IntegrityError::Malformed("too short"))
}

/// The number of a topic on disk.
#[must_use]
pub fn topic_number(topic: Topic) -> u8 {
    match topic {
        Topic::Events => 0,
        Topic::Conclusions => 1,
    }
}

fn split_seal(bytes: &[u8]) -> Result<(&[u8], &[u8]), IntegrityError> {
    let body = bytes.len().checked_sub(SEAL_BYTES).ok_or(IntegrityError::Malformed("too short"))?;
    Ok(bytes.split_at(body))
}

fn parse(body: &[u8]) -> Result<Head, IntegrityError> {
    let mut reader = Reader(body);
    if reader.array::<1>()? != [VERSION] {
        return Err(IntegrityError::Malformed("unknown version"));
    }
    let [number] = reader.array()?;
    let topic = Topic::ALL.into_iter().find(|topic| topic_number(*topic) == number);
    let topic = topic.ok_or(IntegrityError::Malformed("unknown topic"))?;
    let [role_bytes] = reader.array()?;
    let role = reader.text(usize::from(role_bytes))?;
    let first = Position(u64::from_be_bytes(reader.array()?));
    let count = u32::from_be_bytes(reader.array()?) as usize;
    let (previous, lines_hash) = (reader.array()?, reader.array()?);
    let mut systems = Vec::new();
    for _ in 0..u16::from_be_bytes(reader.array()?) {
        let bytes = u16::from_be_bytes(reader.array()?);
        systems.push(reader.text(usize::from(bytes))?);
    }
    if reader.0.len() != count.saturating_mul(ROW_BYTES) {
        return Err(IntegrityError::Malformed("wrong length"));
    }
    let rows = reader.0.chunks_exact(ROW_BYTES).map(parse_row).collect::<Result<Vec<_>, _>>()?;
    if rows.iter().any(|row| usize::from(row.system) >= systems.len()) {
        return Err(IntegrityError::Malformed("a record without system"));
    }
    Ok(Head { topic, role, first, previous, lines_hash, systems, rows })
}

fn parse_row(bytes: &[u8]) -> Result<Row, IntegrityError> {
    let mut reader = Reader(bytes);
    Ok(Row {
        system: u16::from_be_bytes(reader.array()?),
        time: Instant(i64::from_be_bytes(reader.array()?)),
        line_bytes: u32::from_be_bytes(reader.array()?),
        id: EventId(reader.array()?),
        fingerprint: reader.array()?,
    })
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], IntegrityError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(IntegrityError::Malformed("too short"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn text(&mut self, bytes: usize) -> Result<String, IntegrityError> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(IntegrityError::Malformed("too short"))?;
        self.0 = rest;
        String::from_utf8(taken.to_vec()).map_err(|_| IntegrityError::Malformed("a name is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &[u8] = b"{\"a\":1}\n{\"b\":22}\n";

    fn key(byte: u8) -> Key {
        Key::new(&[byte; 32])
    }

    fn head() -> Head {
        let row = |system, time, line_bytes, id| Row {
            system,
            time: Instant(time),
            line_bytes,
            id: EventId([id; 16]),
            fingerprint: [id + 1; 16],
        };
        Head {
            topic: Topic::Conclusions,
            role: "keywatch".into(),
            first: Position(41),
            previous: [7; 32],
            lines_hash: Sha256::digest(LINES).into(),
            systems: vec!["one".into(), "zwei ü".into()],
            rows: vec![row(1, 5, 8, 1), row(0, -6, 9, 2)],
        }
    }

    #[test]
    fn a_head_survives_sealing() {
        let (bytes, hash) = head().seal(&key(1));
        assert_eq!(Head::open(&bytes, "keywatch", &key(1)), Ok(head()));
        assert_eq!(stated_hash(&bytes), Ok(hash));
        assert_eq!(head().end(), Position(43));
        assert_eq!(head().latest(), Some(Instant(5)));
        assert_eq!(head().check_lines(LINES), Ok(()));
    }

    #[test]
    fn every_flipped_byte_is_noticed() {
        let (bytes, _) = head().seal(&key(1));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Head::open(&changed, "keywatch", &key(1)).is_err(), "byte {at}");
        }
        for at in 0..LINES.len() {
            let mut changed = LINES.to_vec();
            changed[at] ^= 1;
            assert_eq!(head().check_lines(&changed), Err(IntegrityError::Lines), "byte {at}");
        }
        for length in 0..bytes.len() {
            assert!(Head::open(&bytes[..length], "keywatch", &key(1)).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn another_key_or_role_is_named() {
        let (bytes, _) = head().seal(&key(2));
        assert_eq!(Head::open(&bytes, "keywatch", &key(1)), Err(IntegrityError::Mac("keywatch".into())));
        assert_eq!(Head::open(&bytes, "ingest", &key(2)), Err(IntegrityError::Role("keywatch".into())));
    }

    #[test]
    fn a_link_is_the_position_and_the_hash_before() {
        assert_eq!(head().check_link(Position(41), &[7; 32]), Ok(()));
        assert_eq!(head().check_link(Position(41), &[8; 32]), Err(IntegrityError::Link));
        assert_eq!(head().check_link(Position(40), &[7; 32]), Err(IntegrityError::Missing));
        assert_eq!(head().check_link(Position(42), &[7; 32]), Err(IntegrityError::Link));
    }

    #[test]
    fn a_value_is_bound_to_its_name() {
        let sealed = key(1).seal_value(b"end", b"12");
        assert_eq!(key(1).open_value(b"end", &sealed), Some(b"12".as_slice()));
        assert_eq!(key(1).open_value(b"enc", &sealed), None);
        assert_eq!(key(2).open_value(b"end", &sealed), None);
        assert_eq!(key(1).open_value(b"end", b"12"), None);
    }
}
