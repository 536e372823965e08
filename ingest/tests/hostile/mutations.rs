//! Every parser over its examples, over the corpus of the fuzzer, and over many mutations of both: a bounded run of what
//! `ingest/fuzz` does without an end. The mutations are the same in every run.

#![expect(clippy::disallowed_methods, reason = "a test reads its seeds from files, and takes the time")]

use std::path::{Path, PathBuf};

use keywatch_ingest::feeds::mapping::Mapping;
use keywatch_ingest::{Feed, feeds};

use crate::SAFE_PAGE;
use crate::parsers::{self, TARGETS};

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

/// Pieces of which large bodies are made, on which a parser that starts over at each of them would not end.
const UNITS: [&str; 12] =
    ["{", "[", "\"", "{\"a\":\n", "\\\"", ",", "<u>;", "<u>,\"", "ce-a=%41;", ".", "[[systems]]\n", "a.a = 1\n"];

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

/// Mutations of a seed, its beginnings, and the seed several times over.
fn variations(seed: &[u8], mutations: u64, chance: &mut Chance) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = (0..mutations).map(|_| mutated(seed, chance)).collect();
    let step = (seed.len() / 32).max(1);
    all.extend((0..seed.len()).step_by(step).map(|end| seed[..end].to_vec()));
    all.extend([2, 5].map(|times| seed.repeat(times)));
    all
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> = entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn p8_every_feed_holds_over_mutations_of_its_examples() {
    for (number, feed) in feeds::all().enumerate() {
        let mut chance = Chance(number as u64);
        for seed in seeds(feed) {
            parsers::feed(feed, &seed);
            for body in variations(&seed, MUTATIONS, &mut chance) {
                parsers::feed(feed, &body);
            }
        }
    }
}

#[test]
fn p8_every_feed_holds_over_the_corpus_of_the_fuzzer() {
    for body in corpus("feed") {
        for (number, feed) in feeds::all().enumerate() {
            parsers::feed(feed, &body);
            let mut chance = Chance(1000 + number as u64);
            for _ in 0..3 {
                parsers::feed(feed, &mutated(&body, &mut chance));
            }
        }
    }
}

#[test]
fn p8_every_parser_holds_over_mutations_of_the_corpus() {
    for (number, (target, parse)) in TARGETS.into_iter().enumerate() {
        let mut chance = Chance(2000 + number as u64);
        for seed in corpus(target) {
            parse(&seed);
            for bytes in variations(&seed, 5 * MUTATIONS, &mut chance) {
                parse(&bytes);
            }
        }
    }
}

#[test]
fn every_target_is_built_described_and_has_seeds() {
    let named = TARGETS.map(|(name, _)| name);
    assert_eq!(names_in(&room().join("fuzz/fuzz_targets")), named);
    assert_eq!(names_in(&room().join("fuzz/corpus")), named);
    let text = |file: &str| std::fs::read_to_string(room().join("fuzz").join(file)).unwrap();
    let (manifest, readme) = (text("Cargo.toml"), text("README.md"));
    for name in named {
        assert!(!corpus(name).is_empty());
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is not built");
        assert!(readme.contains(&format!("\n| `{name}` | ")), "{name} is not described");
        let calls = if name == "feed" { "any_feed" } else { name };
        let source = text(&format!("fuzz_targets/{name}.rs"));
        assert!(source.contains(&format!("keywatch_ingest_fuzz::{calls}(bytes)")), "{name} asks something else");
    }
}

/// What is tried is what [`feeds::all`] names; here, that it names every feed that there is.
#[test]
fn no_feed_is_left_out() {
    let mut folders = names_in(&room().join("src/feeds"));
    // Files of what feeds share, and folders that are no feed.
    folders.retain(|name| room().join("src/feeds").join(name).is_dir() && name != "table" && name != "mapping");
    let mut known: Vec<&str> = feeds::all().map(Feed::name).filter(|name| *name != "events").collect();
    known.sort_unstable();
    assert_eq!(folders, known);
}

#[test]
fn the_time_of_every_parser_grows_with_the_size_and_no_faster() {
    for (target, parse) in TARGETS {
        for unit in UNITS {
            let bytes = unit.repeat((1 << 20) / unit.len());
            let started = std::time::Instant::now();
            parse(bytes.as_bytes());
            assert!(started.elapsed().as_secs() < 20, "{target} of {unit:?} took {:?}", started.elapsed());
        }
    }
}

#[test]
fn p8_a_mutated_mapping_file_that_is_accepted_makes_only_what_a_source_may_write() {
    let mut chance = Chance(7);
    let mut accepted = 0;
    for seed in corpus("mapping") {
        for _ in 0..400 {
            let text = String::from_utf8_lossy(&mutated(&seed, &mut chance)).into_owned();
            parsers::mapping(text.as_bytes());
            let Ok(mapping) = Mapping::parse("m.toml", &text) else { continue };
            accepted += 1;
            // A feed is made for good, so not of all of them.
            if accepted <= 200 {
                let table = mapping.into_feed();
                for body in corpus("feed") {
                    parsers::feed(table, &body);
                }
            }
        }
    }
    assert!(accepted > 20, "mutations that stay a mapping: {accepted}");
}
