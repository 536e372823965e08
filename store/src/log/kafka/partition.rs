//! Which partition a system's records go to.
//!
//! `partition = (murmur2(system id in UTF-8) & 0x7fffffff) mod partitions`, the seed of murmur2 being 0x9747b28c. That is
//! what the Java client does with a message's key, and librdkafka's `partitioner=murmur2`: whoever writes with the
//! system id as the key and such a client finds the same partition.

const SEED: u32 = 0x9747_b28c;
const MULTIPLIER: u32 = 0x5bd1_e995;

/// The partition of a system in a topic of so many.
///
/// # Panics
/// When there is no partition.
#[must_use]
pub fn partition_of(system: &str, partitions: u32) -> u32 {
    assert!(partitions > 0, "a topic has a partition");
    (murmur2(system.as_bytes()) & 0x7fff_ffff) % partitions
}

fn murmur2(bytes: &[u8]) -> u32 {
    let length = u32::try_from(bytes.len()).expect("a key is far shorter");
    let (words, rest) = bytes.as_chunks::<4>();
    let mut hash = SEED ^ length;
    for word in words {
        let mut mixed = u32::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        mixed = (mixed ^ (mixed >> 24)).wrapping_mul(MULTIPLIER);
        hash = hash.wrapping_mul(MULTIPLIER) ^ mixed;
    }
    if !rest.is_empty() {
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u32::from_le_bytes(last)).wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_java_client() {
        // The vectors of org.apache.kafka.common.utils.UtilsTest.
        for (text, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()), i32::cast_unsigned(hash), "{text}");
        }
    }

    #[test]
    fn the_documented_vector() {
        let partitions = |system| [1, 2, 12, 48].map(|partitions| partition_of(system, partitions));
        assert_eq!(partitions("cold-wallets"), [0, 0, 10, 46]);
        assert_eq!(partitions("hot-wallets"), [0, 0, 4, 16]);
        assert_eq!(partitions("verwahrung-zürich"), [0, 0, 8, 20]);
        assert_eq!(partitions("abc"), [0, 1, 3, 27]);
    }
}
