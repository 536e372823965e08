//! An event in words, for the transcript.

use keywatch_store::Event;
use serde_json::Value;

/// One event as a sentence that needs no knowledge of custody; `None` for what nobody needs to see.
pub(crate) fn sentence(event: &Event) -> Option<String> {
    let detail = event.detail().value();
    let actor = event.actor().map_or_else(|| "somebody".to_owned(), short);
    let session = event.session().unwrap_or("no session");
    let request = event.request().map(short).unwrap_or_default();
    Some(match event.kind() {
        "tick" => return None,
        "session.started" => format!("{actor} logs in{} (session {session})", place(event)),
        "session.presented" => format!("{actor} works{} (session {session})", place(event)),
        "session.ended" => format!("{actor} logs out (session {session})"),
        "session.posture" => format!("{}, the device of {actor}, is {}", text(event.device()), text(event.outcome())),
        "decision" => {
            let usd = event.amount_usd_cents().map(|cents| grouped(&(cents / 100).to_string()));
            let usd = usd.map(|usd| format!(" of {usd} US dollars")).unwrap_or_default();
            let answer = if event.outcome() == Some("allow") { "yes" } else { text(event.outcome()) };
            format!("may {actor} sign payment {request}{usd}? The policy says {answer}")
        }
        "custody.request" => format!("{actor} orders a payment of {}{} ({request})", value(event), to(event)),
        "signing.requested" => {
            format!("payment {request} is put before the signers: {}{}{}", value(event), to(event), operation(&detail))
        }
        "signing.approved" => format!("{actor} signs payment {request}{}", checked(event)),
        "signing.signed" => format!("payment {request} has all the signatures it needs"),
        "chain.tx" => format!("{actor} sends it to the chain: {}{}{}", value(event), to(event), operation(&detail)),
        "chain.transfer" => format!("{} leave{}", value(event), to(event)),
        "chain.contract" => format!(
            "the wallet's own {} is exchanged: {} for {}",
            if detail["change"] == "implementation" { "code" } else { detail["change"].as_str().unwrap_or("contract") },
            short(detail["after"].as_str().unwrap_or("?")),
            short(detail["before"].as_str().unwrap_or("?"))
        ),
        kind => format!("{kind} from {}", event.source()),
    })
}

/// An address or hash by its beginning; other names as they are.
pub(crate) fn short(name: &str) -> String {
    if name.len() > 20 && name.is_ascii() { format!("{}…", &name[..10]) } else { name.to_owned() }
}

/// A sentence with its addresses and hashes shortened and its base units as people say them.
pub(crate) fn shortened(sentence: &str) -> String {
    let words: Vec<&str> = sentence.split(' ').collect();
    let mut words_shown: Vec<String> = Vec::new();
    let mut index = 0;
    while index < words.len() {
        if let [digits, "base", "units", "of", asset, ..] = words[index..]
            && digits.bytes().all(|byte| byte.is_ascii_digit())
        {
            let comma = if asset.ends_with(',') { "," } else { "" };
            words_shown.push(format!("{}{comma}", amount(digits, asset.trim_end_matches(','))));
            index += 5;
            continue;
        }
        let end = words[index].trim_end_matches([',', ';', ':', '.']);
        words_shown.push(format!("{}{}", short(end), &words[index][end.len()..]));
        index += 1;
    }
    words_shown.join(" ")
}

/// Base units as people say them: `30,000 ETH`.
pub(crate) fn amount(digits: &str, asset: &str) -> String {
    let decimals = match asset {
        "ETH" | "mETH" | "stETH" | "cmETH" => 18,
        "BTC" => 8,
        "USDT" | "USDC" => 6,
        _ => 0,
    };
    let padded = format!("{digits:0>width$}", width = decimals + 1);
    let (whole, fraction) = padded.split_at(padded.len() - decimals);
    let fraction: String = fraction.trim_end_matches('0').chars().take(4).collect();
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{}{point}{fraction} {}", grouped(whole), short(asset))
}

/// Whole digits with a comma every three.
pub(crate) fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn value(event: &Event) -> String {
    event
        .amount()
        .map_or_else(|| "no value".to_owned(), |units| amount(&units.to_string(), event.asset().unwrap_or_default()))
}

fn to(event: &Event) -> String {
    event.to_address().map(|to| format!(" to {}", short(to))).unwrap_or_default()
}

fn place(event: &Event) -> String {
    match (event.country(), event.ip()) {
        (Some(country), Some(ip)) => format!(" from {ip} ({country})"),
        (None, Some(ip)) => format!(" from {ip}"),
        _ => String::new(),
    }
}

fn operation(detail: &Value) -> &'static str {
    if detail["operation"] == 1 { ", and lets foreign code act as the wallet (a delegatecall)" } else { "" }
}

fn checked(event: &Event) -> &'static str {
    match event.outcome() {
        Some("verified") => ", and the signature fits it",
        Some("mismatch") => ", but the signature is over something else",
        _ => "",
    }
}

fn text(value: Option<&str>) -> &str {
    value.unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_keeps_its_words_and_loses_its_hashes() {
        let long = "0x1db92e2eebc8e0c075a02bea49a2935bcd2dfcf4";
        assert_eq!(
            shortened(&format!("Wallet {long}, moves 401346000000000000000000 base units of ETH, so: {long}")),
            "Wallet 0x1db92e2e…, moves 401,346 ETH, so: 0x1db92e2e…"
        );
    }

    #[test]
    fn amounts_are_shown_as_people_write_them() {
        assert_eq!(amount("30000000000000000000000", "ETH"), "30,000 ETH");
        assert_eq!(amount("90375547900000000000000", "stETH"), "90,375.5479 stETH");
        assert_eq!(amount("450290000000", "BTC"), "4,502.9 BTC");
    }
}
