//! What tokens say of themselves.

use super::*;
use crate::chain::evm::metadata::{self, Metadata};

#[test]
fn tokens_that_moved_are_asked_and_what_they_say_is_told_under_their_contract() {
    let fungible = |token: &str| log(0, token, &[TRANSFER, &word(OTHER), &word(WALLET)], &number(5));
    let collection = log(3, SAFE, &[TRANSFER, &word(OTHER), &word(WALLET), &number(1)], "0x");
    let strange = log(4, OTHER, &[TRANSFER, &word(USDT), &word(OTHER)], &number(5));
    let logs = json!([fungible(USDT), fungible(OTHER), collection, strange]);
    let mut read = read(vec![transaction(1, OTHER, OTHER, 0, &[1], 1, &logs)], None);
    let wallet = Wallet { wallet: WALLET.into(), chain: "ethereum".into(), ..Wallet::default() };
    let watched = Watched::of(&System { wallets: vec![wallet], ..System::default() }, "ethereum").0;
    let token: Address = OTHER.parse().unwrap();
    assert_eq!(metadata::moved(&read.receipts, &watched, "ethereum"), [token], "USDT is known by its contract");
    let before = told(&read, 0).len();
    let said = |symbol: &str| Metadata { token, symbol: Some(symbol.to_owned()), decimals: Some(8) };
    read.metadata = vec![said("GALA"), said("U\\u{405}DT")];
    let events = told(&read, 0);
    let [plain, disguised, ..] = events.as_slice() else { panic!("{:?}", shown(&events)) };
    assert_eq!(events.len(), before + 2);
    assert_eq!((plain.kind(), plain.asset(), plain.outcome()), ("chain.asset", Some(OTHER), Some("said")));
    let detail = plain.detail().value();
    assert_eq!((&detail["symbol"], &detail["decimals"], &detail["token"]), (&json!("GALA"), &json!(8), &json!(OTHER)));
    assert_eq!((disguised.outcome(), plain.wallet()), (Some("disguised"), None));
}
