//! Every parser over its examples, over the corpus of the fuzzer, and over many mutations of both: a bounded run of what
//! `ingest/fuzz` does without an end. The mutations are the same in every run.

#![expect(clippy::disallowed_methods, reason = "a test reads its seeds from files")]

use std::path::{Path, PathBuf};

use keywatch_ingest::feeds::mapping::Mapping;
use keywatch_ingest::{Feed, feeds};

use crate::{SAFE_PAGE, check, read};

/// Mutations of each seed; a night of them is what the fuzzer is for.
const MUTATIONS: u64 = 60;

/// Bytes of a seed that are mutated: larger ones only take longer.
const SEED_BYTES: usize = 8 << 10;

/// What parsers stumble over.
const TOKENS: [&[u8]; 24] = [
    b"null",
    b"NaN",
    b"-Infinity",
    b"1e400",
    b"-1e400",
    b"0",
    b"-0",
    b"99999999999999999999999999999999999999999999",
    b"1740116560.",
    b"\"\"",
    b"\"-\"",
    b"[]",
    b"{}",
    b"[[[[[[[[",
    b"}}}}",
    b"\"id\":\"x\",\"id\":\"y\",",
    b"\\u0000",
    b"\\ud800",
    b"\xff\xfe",
    b"\xd0\xb0",
    b"\xe2\x80\xae",
    b"\n",
    b"/../",
    b"{\"$serde_json::private::Number\":\"x\"}",
];

/// A small generator (splitmix64), so that a failure is found again.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}

/// A few changes: a bit flipped, a stretch cut, doubled or moved, a token put in.
fn mutated(seed: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=chance.below(4) {
        let at = chance.below(bytes.len() + 1);
        let end = (at + chance.below(40)).min(bytes.len());
        match chance.below(5) {
            0 if at < bytes.len() => bytes[at] ^= 1 << chance.below(8),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let stretch = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, stretch));
            }
            3 => {
                let stretch: Vec<u8> = bytes.drain(at..end).collect();
                let to = chance.below(bytes.len() + 1);
                drop(bytes.splice(to..to, stretch));
            }
            _ => drop(bytes.splice(at..at, TOKENS[chance.below(TOKENS.len())].iter().copied())),
        }
    }
    bytes
}

fn room() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The files of a corpus, by name.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = room().join("fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// A feed's own records: each line by itself, and all of them together.
fn seeds(feed: &dyn Feed) -> Vec<Vec<u8>> {
    let folder = room().join("src/feeds").join(feed.name());
    let records = std::fs::read(folder.join("records.jsonl"));
    let mut seeds = match (feed.name(), records) {
        (_, Ok(records)) => {
            let mut seeds: Vec<Vec<u8>> = records.split(|byte| *byte == b'\n').take(12).map(<[u8]>::to_vec).collect();
            seeds.push(records);
            seeds
        }
        ("safe", Err(_)) => vec![SAFE_PAGE.as_bytes().to_vec()],
        (name, Err(_)) => vec![crate::good(name, 1).to_string().into_bytes()],
    };
    for seed in &mut seeds {
        seed.truncate(SEED_BYTES);
    }
    seeds
}

#[test]
fn p8_every_parser_holds_over_mutations_of_its_examples() {
    for (number, feed) in feeds::all().enumerate() {
        let mut chance = Chance(number as u64);
        for seed in seeds(feed) {
            check(feed, &read(feed, &seed));
            for _ in 0..MUTATIONS {
                let body = mutated(&seed, &mut chance);
                let reading = read(feed, &body);
                check(feed, &reading);
                let again = read(feed, &body);
                assert_eq!(reading, again, "{}: the same bytes give the same events", feed.name());
            }
        }
    }
}

#[test]
fn p8_every_parser_holds_over_the_corpus_of_the_fuzzer() {
    for body in corpus("feed") {
        for (number, feed) in feeds::all().enumerate() {
            check(feed, &read(feed, &body));
            let mut chance = Chance(1000 + number as u64);
            for _ in 0..3 {
                check(feed, &read(feed, &mutated(&body, &mut chance)));
            }
        }
    }
}

#[test]
fn p8_a_mutated_mapping_file_is_refused_by_line_or_makes_only_what_a_source_may_write() {
    let mut chance = Chance(7);
    let mut accepted = 0;
    for seed in corpus("mapping") {
        for _ in 0..400 {
            let text = String::from_utf8_lossy(&mutated(&seed, &mut chance)).into_owned();
            match Mapping::parse("m.toml", &text) {
                Ok(mapping) if accepted < 200 => {
                    accepted += 1;
                    let table = mapping.into_feed();
                    for body in corpus("feed") {
                        check(table, &read(table, &body));
                    }
                }
                Ok(_) => {}
                Err(refused) => {
                    for problem in refused.problems {
                        let line = problem.strip_prefix("m.toml:").and_then(|rest| rest.split(':').next()).unwrap();
                        let number: usize = line.parse().unwrap_or_else(|_| panic!("{problem}"));
                        assert!((1..=text.lines().count().max(1) + 1).contains(&number), "{problem}");
                    }
                }
            }
        }
    }
    assert!(accepted > 20, "mutations that stay a mapping: {accepted}");
}
