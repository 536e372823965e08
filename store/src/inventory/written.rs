//! What is declared, written as events write it: addresses, hashes and names of chains in lower case where their case says
//! nothing. Explorers and wallets show capitals (EIP-55), and rules join by equal text.

use super::System;

impl System {
    /// Writes its names as feeds write them.
    pub(super) fn write_as_events(&mut self) {
        for wallet in &mut self.wallets {
            wallet.chain.make_ascii_lowercase();
            write([&mut wallet.wallet, &mut wallet.implementation]);
        }
        for module in &mut self.modules {
            write([&mut module.wallet, &mut module.module]);
        }
        for library in &mut self.libraries {
            write([&mut library.address]);
        }
        for limit in &mut self.limits {
            write([&mut limit.wallet, &mut limit.asset]);
        }
        for asset in &mut self.assets {
            asset.chain.make_ascii_lowercase();
            write([&mut asset.asset]);
        }
        for owner in &mut self.owners {
            write([&mut owner.wallet, &mut owner.owner]);
        }
        for destination in &mut self.destinations {
            write([&mut destination.address]);
        }
        for indicator in &mut self.indicators {
            write([&mut indicator.indicator]);
        }
        for person in &mut self.people {
            write([&mut person.subject]);
        }
    }
}

fn write<const MANY: usize>(names: [&mut String; MANY]) {
    for name in names {
        if ignores_case(name) {
            name.make_ascii_lowercase();
        }
    }
}

/// Whether a name is hexadecimal with `0x`, or bech32 in capitals (BIP-173).
fn ignores_case(name: &str) -> bool {
    match name.strip_prefix("0x").or_else(|| name.strip_prefix("0X")) {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => name.starts_with("BC1") && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use crate::Inventory;

    const TOML: &str = r#"
        [[systems]]
        id = "Cold"
        [[systems.wallets]]
        wallet = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
        chain = "Ethereum"
        [[systems.wallets]]
        wallet = "Treasury"
        chain = "bitcoin"
        [[systems.destinations]]
        address = "0XD5F7838F5C461fefF7FE49ea5ebaF7728bB0ADfa"
        label = "0xAB"
        [[systems.destinations]]
        address = "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"
    "#;

    #[test]
    fn names_are_written_as_events_write_them_and_others_are_left() {
        let system = Inventory::parse("i.toml", TOML).unwrap().systems.remove(0);
        let wallets: Vec<_> =
            system.wallets.iter().map(|wallet| (wallet.wallet.as_str(), wallet.chain.as_str())).collect();
        let address = "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed";
        assert_eq!(wallets, [(address, "ethereum"), ("Treasury", "bitcoin")]);
        let paid: Vec<_> =
            system.destinations.iter().map(|paid| (paid.address.as_str(), paid.label.as_str())).collect();
        let expected =
            [("0xd5f7838f5c461feff7fe49ea5ebaf7728bb0adfa", "0xAB"), ("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "")];
        assert_eq!((system.id.as_str(), paid.as_slice()), ("Cold", expected.as_slice()));
    }

    #[test]
    fn one_address_in_two_forms_is_declared_twice() {
        let again = TOML.replace("\"Treasury\"", "\"0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed\"");
        let error = Inventory::parse("i.toml", &again).unwrap_err().to_string();
        assert!(error.contains("`wallets` has 0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed twice"), "{error}");
    }
}
