//! What each parser owes whatever bytes it is given. The fuzzer asks without an end (`fuzz_targets/`), the tests over the
//! corpus and over mutations of it (`ingest/tests/hostile/mutations.rs` takes this very file in).

#![allow(unreachable_pub, clippy::unwrap_used, reason = "one text for the fuzzer's package and for the tests")]

use bitcoin::address::NetworkUnchecked;
use bitcoin::consensus::deserialize;
use bitcoin::{Address, Amount, Network, OutPoint, ScriptBuf, Transaction, TxOut};
use keywatch_ingest::chain::{bitcoin as coins, evm};
use keywatch_ingest::feeds::cloudtrail::trail::{PublicKeys, hour_before};
use keywatch_ingest::feeds::events::Events;
use keywatch_ingest::feeds::mapping::Mapping;
use keywatch_ingest::feeds::sigstore::trust::{Identity, Trust, TrustedKey};
use keywatch_ingest::feeds::sigstore::verifying::Verifying;
use keywatch_ingest::signature::token::{Expected, security_event};
use keywatch_ingest::signature::webhook::{self, Message};
use keywatch_ingest::signature::{self, Algorithm, Keys};
use keywatch_ingest::transport::cloudevents::Envelope;
use keywatch_ingest::transport::{body as encoded, rest as answers};
use keywatch_ingest::{Context, Error, Feed, Reading, feeds};
use keywatch_store::event::Origin;
use keywatch_store::inventory::{System, Wallet};
use keywatch_store::limits::LINE_BYTES_MAX;
use keywatch_store::{Event, Instant, Inventory, kinds, line};
use serde::Deserialize;

/// A parser, by the name of its target and of its folder in `corpus/`.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 13] = [
    ("bitcoin", bitcoin),
    ("body", body),
    ("digest", digest),
    ("envelope", envelope),
    ("event_line", event_line),
    ("evm", evm),
    ("feed", any_feed),
    ("inventory", inventory),
    ("key_set", key_set),
    ("mapping", mapping),
    ("rest", rest),
    ("signature", signature),
    ("sigstore", sigstore),
];

/// Bytes that a body may have after decompression, here.
const DECODED_BYTES_MAX: usize = 1 << 20;

/// A wallet of each chain.
const WALLET: &str = "0x1111111111111111111111111111111111111111";
const SAFE: &str = "0x2222222222222222222222222222222222222222";
const ROBBED: &str = "3P8MfdM4pULv7ozdQvfwAqNF29zAjmnUYD";

/// Keys of which nobody has the private halves.
const KEYS: &str = r#"{"keys":[
    {"kty":"OKP","crv":"Ed25519","kid":"e","x":"fUCz38_i1NqhGY2dPFxU5gev_YFdSbaVPBafKyOP4a8"},
    {"kty":"EC","crv":"P-256","kid":"p","x":"v1ifVha8LruVKOqLZTw9fjlFPz5i_O-Zqfdzu1Rl5iw","y":"i5Rwij2W-erm7qNxBBIFrBIrt3LiKCck7xmxjZ604_k"}
]}"#;

/// Bundles, and whom they are verified against.
const VECTORS: &str = include_str!("../../src/feeds/sigstore/vectors.json");
const VECTORS_KEYS: &str = include_str!("../../src/feeds/sigstore/vectors_keys.json");

const TRAIL_KEYS: &str = r#"{"PublicKeyList":[{"Fingerprint":"00","Value":"MAA="}]}"#;

fn origin() -> Origin {
    Origin { system: "cold".into(), source: "idp".into() }
}

/// What every reading of a feed must be: its events fit the log and are of kinds a source may write, its rejects can be kept.
pub fn check(feed: &dyn Feed, reading: &Reading) {
    for event in &reading.events {
        assert_eq!(&line::read(line::write(event).as_bytes()).unwrap(), event, "a line that was written can be read");
        assert_eq!(kinds::find(event.kind()).unwrap().writer, kinds::Writer::Source);
        assert_eq!((event.system(), event.source()), ("cold", "idp"));
    }
    for reject in &reading.rejects {
        let kept = reject.into_event(&origin(), feed.name(), Instant(1));
        line::read(line::write(&kept).as_bytes()).unwrap();
        assert!(!reject.reason.is_empty() && !reject.field.is_empty());
    }
    assert!(reading.rejects.len() <= reading.records);
}

/// A body of that feed.
pub fn feed(feed: &dyn Feed, body: &[u8]) {
    let origin = origin();
    let context = Context { origin: &origin, inventory: None };
    let reading = feed.read(&context, body);
    check(feed, &reading);
    assert_eq!(reading, feed.read(&context, body), "{}: the same bytes give the same events", feed.name());
}

/// A body of the feed that the first byte chooses.
pub fn any_feed(bytes: &[u8]) {
    let Some((first, body)) = bytes.split_first() else { return };
    let count = feeds::all().count();
    feed(feeds::all().nth(usize::from(*first) % count).unwrap(), body);
}

/// A mapping file. What is accepted makes only kinds that a source may write, what is refused is refused by line.
pub fn mapping(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Mapping::parse("m.toml", text) {
        Ok(mapping) => {
            for kind in mapping.kinds() {
                assert_eq!(kinds::find(kind).unwrap().writer, kinds::Writer::Source);
            }
        }
        Err(refused) => {
            for problem in refused.problems {
                let line = problem.strip_prefix("m.toml:").and_then(|rest| rest.split(':').next()).unwrap();
                let number: usize = line.parse().unwrap_or_else(|_| panic!("{problem}"));
                assert!((1..=text.lines().count().max(1) + 1).contains(&number), "{problem}");
            }
        }
    }
}

/// A compressed body: no more than the cap comes out.
pub fn body(bytes: &[u8]) {
    for encoding in [None, Some("gzip"), Some("zstd")] {
        match encoded::decode(encoding, bytes, DECODED_BYTES_MAX) {
            Ok(decoded) => assert!(decoded.len() <= DECODED_BYTES_MAX),
            Err(refused) => assert!(!matches!(refused, Error::Encoding { .. })),
        }
    }
}

/// A digest file of a trail whose objects are all the same bytes, and a list of public keys. Nobody signed any of it.
pub fn digest(bytes: &[u8]) {
    let own = PublicKeys::parse(bytes);
    let keys = own.unwrap_or_else(|_| PublicKeys::parse(TRAIL_KEYS.as_bytes()).unwrap());
    for there in [true, false] {
        let read = |_: &str| if there { Ok(bytes.to_vec()) } else { Err("is missing".to_owned()) };
        if let Ok(hour) = hour_before(&keys, ("digest", bytes), Some("before"), &read) {
            assert_eq!(hour.proved, 0);
            for gap in hour.gaps {
                let event = gap.event(&origin());
                assert_eq!(line::read(line::write(&event).as_bytes()).unwrap(), event);
            }
        }
    }
}

/// `CloudEvents`: the first line is headers, `name=value` between semicolons; what stands behind it is the body.
pub fn envelope(bytes: &[u8]) {
    let (head, body) = head_and_body(bytes);
    let header = |pair: &[u8]| pair.iter().position(|byte| *byte == b'=');
    let headers: Vec<(&str, &[u8])> = head
        .split(|byte| *byte == b';')
        .filter_map(|pair| Some((std::str::from_utf8(&pair[..header(pair)?]).ok()?, &pair[header(pair)? + 1..])))
        .collect();
    let types = [None, Some("application/cloudevents+json"), Some("application/cloudevents-batch+json")];
    for content_type in types {
        let Ok(envelope) = Envelope::of(content_type, headers.iter().copied()) else { continue };
        for reads_envelopes in [false, true] {
            let Ok(opened) = envelope.open(body, reads_envelopes) else { continue };
            // An attribute may be escaped, six bytes for one.
            assert!(opened.body.len() <= 8 * bytes.len() + 4096, "{} of {}", opened.body.len(), bytes.len());
            for reject in &opened.rejects {
                line::read(line::write(&reject.into_event(&origin(), "events", Instant(1))).as_bytes()).unwrap();
            }
            if reads_envelopes {
                feed(&Events, &opened.body);
            }
        }
    }
}

/// A signed request: the first line is the header, what stands behind it the body. Nobody has the keys, so none is genuine.
pub fn signature(bytes: &[u8]) {
    let (head, body) = head_and_body(bytes);
    let header = String::from_utf8_lossy(head);
    let algorithms = vec![Algorithm::Rs256, Algorithm::Rs512, Algorithm::Es256, Algorithm::EdDsa];
    let keys = Keys::parse(KEYS.as_bytes()).unwrap();
    assert!(signature::detached(&keys, &algorithms, &header, body).is_err());
    assert!(signature::compact(&keys, &algorithms, &header).is_err());
    assert!(signature::hmac_sha256(b"a secret that nobody knows", &header, body).is_err());
    let now = Instant::from_unix_seconds(1_740_116_560).unwrap();
    let mut parts = header.splitn(3, ';');
    let mut next = || parts.next().unwrap_or_default();
    let message = Message { id: next(), timestamp: next(), signatures: next() };
    assert!(webhook::standard(b"a secret that nobody knows", message, body, now).is_err());
    let (issuer, audience) = ("https://idp.example".to_owned(), "https://keywatch.example".to_owned());
    let expected = Expected { keys, algorithms, issuer, audience };
    for token in [head, body] {
        assert!(security_event(&expected, token, now).is_err());
    }
}

/// A trust file; and a result with its bundle, verified against that, or against the trust and the identity of the vectors,
/// and against a key of theirs.
pub fn sigstore(bytes: &[u8]) {
    let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
    let text = |name: &str| vectors[name].as_str().unwrap().to_owned();
    let identity = Identity { system: "cold".into(), subject: text("subject"), issuer: text("issuer") };
    let known = || Trust::parse(vectors["trusted_root"].to_string().as_bytes(), vec![identity.clone()]).unwrap();
    let keys: serde_json::Value = serde_json::from_str(VECTORS_KEYS).unwrap();
    let key = TrustedKey::parse(keys["keys"]["p256"].as_str().unwrap().as_bytes(), "release", "cold", None).unwrap();
    // A key that cannot be read is told, and none can be made of what is no PEM.
    assert!(
        TrustedKey::parse(bytes, "release", "cold", None).is_err()
            || bytes.windows(10).any(|part| part == b"-----BEGIN")
    );
    let trust = Trust::parse(bytes, vec![identity.clone()]).unwrap_or_else(|_| known());
    let verifying = Verifying::new(trust.with_keys(vec![key]));
    feed(&verifying, bytes);
    let origin = origin();
    for event in verifying.read(&Context { origin: &origin, inventory: None }, bytes).events {
        let detail = event.detail().value();
        let is_expected = detail["identity"] == *identity.subject && detail["issuer"] == *identity.issuer;
        let is_expected = is_expected || detail["signer"] == "key:release";
        assert!(detail["verified"] != true || is_expected, "{detail}");
    }
}

/// A key set, and a secret as it stands in a file.
pub fn key_set(bytes: &[u8]) {
    let algorithms = [Algorithm::Rs256, Algorithm::Rs512, Algorithm::Es256, Algorithm::EdDsa];
    if let Ok(keys) = Keys::parse(bytes) {
        // Whatever the key is, it verifies nothing that was not signed.
        for header in ["eyJhbGciOiJFZERTQSJ9..AAAA", "eyJhbGciOiJFUzI1NiJ9..AAAA", "eyJhbGciOiJSUzI1NiJ9..AAAA"] {
            assert!(signature::detached(&keys, &algorithms, header, b"body").is_err());
        }
    }
    if let Ok(secret) = webhook::secret(&String::from_utf8_lossy(bytes)) {
        assert!((24..=64).contains(&secret.len()));
    }
}

/// Headers of services that are asked for lists.
pub fn rest(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let values: Vec<&str> = text.lines().collect();
    if let Some(link) = answers::next_link(values.iter().copied()) {
        assert!(text.contains(link));
    }
    let (after, reset) = (values.first().copied(), values.get(1).copied());
    assert!(answers::rest_seconds(after, reset, 1_740_116_560).is_none_or(|seconds| seconds > 0));
}

/// A line of keywatch's own.
pub fn event_line(bytes: &[u8]) {
    if let Ok(event) = line::read(bytes) {
        assert_eq!(line::read(line::write(&event).as_bytes()).unwrap(), event);
    }
}

/// An inventory file.
pub fn inventory(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(refused) = Inventory::parse("inventory.toml", text) {
        assert!(refused.to_string().contains("inventory.toml"), "{refused}");
    }
}

/// The parts of a block as a node of an Ethereum chain answers them.
#[derive(Deserialize)]
struct Answers {
    block: evm::Block,
    receipts: Vec<evm::Receipt>,
    traces: Option<Vec<evm::Trace>>,
}

/// A block of an Ethereum chain. A node is believed, and may lie.
pub fn evm(bytes: &[u8]) {
    let Ok(Answers { block, receipts, traces }) = serde_json::from_slice(bytes) else { return };
    let Ok(read) = evm::ReadBlock::new(block, receipts, traces) else { return };
    let network = evm::Network { name: "ethereum".into(), id: 1, asset: "ETH".into() };
    let (watched, _) = evm::Watched::of(&watching("ethereum", &[WALLET, SAFE]), "ethereum");
    let origin = origin();
    let events = evm::Decoder { origin: &origin, network: &network, watched: &watched }.block(&read, 0);
    let uses = evm::destinations::uses(&events, &watched, "ethereum");
    assert!(uses.iter().all(|used| !watched.declares(&used.destination)));
    told(&events);
}

/// A transaction of Bitcoin, of which every coin was the watched wallet's and as large as a number can be.
pub fn bitcoin(bytes: &[u8]) {
    let Ok(transaction) = deserialize::<Transaction>(bytes) else { return };
    let network = Network::Bitcoin;
    let (watched, _) = coins::Watched::of(&watching("bitcoin", &[ROBBED]), "bitcoin", network);
    let origin = origin();
    let decoder = coins::Decoder { origin: &origin, chain: "bitcoin", network, watched: &watched };
    let wanted = decoder.wanted(std::slice::from_ref(&transaction));
    assert!(wanted.len() <= transaction.input.len());
    let address: Address<NetworkUnchecked> = ROBBED.parse().unwrap();
    let script: ScriptBuf = address.assume_checked().script_pubkey();
    let coin = |_: &OutPoint| Some(TxOut { value: Amount::from_sat(u64::MAX), script_pubkey: script.clone() });
    let place = coins::Place::Block { height: 9, hash: "ab".into(), epoch: 0 };
    let mut events = Vec::new();
    decoder.transaction(&transaction, &place, Instant(1), &coin, &mut events);
    told(&events);
}

fn watching(chain: &str, wallets: &[&str]) -> System {
    let wallet = |wallet: &&str| Wallet { wallet: (*wallet).into(), chain: chain.into(), ..Wallet::default() };
    System { wallets: wallets.iter().map(wallet).collect(), ..System::default() }
}

/// What a follower tells can be kept.
fn told(events: &[Event]) {
    for event in events {
        assert!(kinds::find(event.kind()).is_some());
        let written = line::write(event);
        let comes_back = line::read(written.as_bytes()).is_ok_and(|read| read == *event);
        assert!(written.len() > LINE_BYTES_MAX || comes_back, "{written}");
    }
}

fn head_and_body(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    end.map_or((bytes, &[]), |end| (&bytes[..end], &bytes[end + 1..]))
}
