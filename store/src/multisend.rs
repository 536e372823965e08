//! The batching contracts that the makers of the Safe multisig have deployed, for every version and kind of chain. A
//! wallet delegates to them every day; code at any other address runs as the wallet itself.
//!
//! Source: safe-global/safe-deployments, `multi_send.json` and `multi_send_call_only.json` of 1.1.1 to 1.5.0.

/// Addresses in lower case.
const DEPLOYMENTS: [&str; 13] = [
    // 1.1.1
    "0x8d29be29923b68abfdd21e541b9374737b49cdad",
    // 1.3.0: canonical, EIP-155, zkSync
    "0xa238cbeb142c10ef7ad8442c6d1f9e89e07e7761",
    "0x998739bfdaadde7c933b942a68053933098f9eda",
    "0x0dfcccb95225ffb03c6fbb2559b530c2b7c8a912",
    "0x40a2accbd92bca938b02010e17a5b8929b49130d",
    "0xa1dabef33b3b82c7814b6d82a79e50f4ac44102b",
    "0xf220d3b4dfb23c4ade8c88e526c1353abacbc38f",
    // 1.4.1: canonical, zkSync
    "0x38869bf66a61cf6bdb996a6ae40d5853fd43b526",
    "0x309d0b190fecca8e1d5d8309a16f7e3cb133e885",
    "0x9641d764fc13c8b624c04430c7356c1c7c8102e2",
    "0x0408ef011960d02349d50286d20531229bcef773",
    // 1.5.0
    "0x218543288004cd07832472d464648173c77d7eb7",
    "0xa83c336b20401af773b6219ba5027174338d1836",
];

/// Whether `address` (`0x` and hexadecimal digits of either case) is one of them.
#[must_use]
pub fn is_deployment(address: &str) -> bool {
    DEPLOYMENTS.iter().any(|known| known.eq_ignore_ascii_case(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deployments_are_addresses_in_lower_case_and_found_in_any_case() {
        for address in DEPLOYMENTS {
            assert!(address.len() == 42 && address.starts_with("0x") && !address.contains(char::is_uppercase));
        }
        assert!(is_deployment("0x8D29bE29923b68abfDD21e541b9374737B49cdAD"));
        assert!(!is_deployment("0x8d29be29923b68abfdd21e541b9374737b49cdae"));
    }
}
