//! Titles of findings: `{column}` stands for what the row says there, `{column:asset}` for an amount of its asset as people say
//! it, in the units that the inventory declared at the row's own time, or else in those that the token says it has.

use datafusion::error::Result;
use keywatch_store::inventory::{System, amount_as_said};

use crate::error::Error;
use crate::rule::Rule;

/// The parts of a template: text, and the placeholder behind it, without its braces.
fn parts(template: &str) -> impl Iterator<Item = (&str, Option<Placeholder<'_>>)> {
    let mut rest = Some(template);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some((before, column)) =
            text.split_once('{').and_then(|(before, after)| Some((before, after.split_once('}')?)))
        else {
            rest = None;
            return Some((text, None));
        };
        rest = Some(column.1);
        Some((before, Some(Placeholder::read(column.0))))
    })
}

/// What a title leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Placeholder<'a> {
    /// The column that fills it.
    column: &'a str,
    /// The column that names the asset, where it is an amount.
    asset: Option<&'a str>,
}

impl<'a> Placeholder<'a> {
    fn read(text: &'a str) -> Placeholder<'a> {
        match text.split_once(':') {
            Some((column, asset)) => Placeholder { column, asset: Some(asset) },
            None => Placeholder { column: text, asset: None },
        }
    }
}

/// Checks that the title names only columns that the rule returns: any other would always be unknown.
pub(super) fn check(rule: &Rule, columns: &[String]) -> std::result::Result<(), Error> {
    let named = parts(&rule.header.title).filter_map(|(_, placeholder)| placeholder);
    let mut named = named.flat_map(|placeholder| [Some(placeholder.column), placeholder.asset]).flatten();
    let Some(missing) = named.find(|name| !columns.iter().any(|column| column == name)) else { return Ok(()) };
    let problem = format!("title: {{{missing}}} is no column that the rule returns");
    Err(Error::FrontMatter { rule: rule.id.clone(), problem })
}

/// A title with its placeholders filled; `said` is what a token on a chain calls itself and with how many decimals, `value` what
/// a column says.
pub(super) fn filled<'a>(
    template: &str,
    inventory: Option<&System>,
    said: impl Fn(&str, Option<&str>) -> Option<(&'a str, usize)>,
    value: impl Fn(&str) -> Result<Option<String>>,
) -> Result<String> {
    let mut title = String::new();
    for (before, placeholder) in parts(template) {
        title.push_str(before);
        let Some(Placeholder { column, asset }) = placeholder else { continue };
        let shown = value(column)?;
        let asset = asset.map(&value).transpose()?.flatten();
        match (shown, asset) {
            (Some(digits), Some(asset)) => {
                let chain = value("chain")?;
                let said = said(&asset, chain.as_deref());
                title.push_str(&amount_as_said(inventory, &digits, &asset, chain.as_deref(), said));
            }
            (shown, _) => title.push_str(shown.as_deref().unwrap_or("unknown")),
        }
    }
    Ok(title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_says_what_its_row_says() {
        let row = |column: &str| {
            Ok(match column {
                "wallet" => Some("0xabc".to_owned()),
                "amount" => Some("2500000000000000000".to_owned()),
                "asset" => Some("ETH".to_owned()),
                _ => None,
            })
        };
        for (template, title) in [
            ("no braces", "no braces"),
            ("{wallet} moves {amount:asset}", "0xabc moves 2.5 ETH"),
            ("{amount} to {to_address}", "2500000000000000000 to unknown"),
            ("{amount:token} of {wallet}", "2500000000000000000 of 0xabc"),
            ("an open {brace", "an open {brace"),
        ] {
            assert_eq!(filled(template, None, |_, _| None, row).unwrap(), title);
        }
    }

    #[test]
    fn a_token_that_nobody_declared_is_told_by_its_own_name_and_its_contract() {
        let row = |column: &str| {
            Ok(match column {
                "amount" => Some("1000000000".to_owned()),
                "asset" => Some("0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48".to_owned()),
                "chain" => Some("base".to_owned()),
                _ => None,
            })
        };
        let said = |asset: &str, chain: Option<&str>| {
            (asset.starts_with("0xa0b8") && chain == Some("base")).then_some(("USDC", 6))
        };
        assert_eq!(filled("{amount:asset} left", None, said, row).unwrap(), "1,000 USDC?0xa0b8…eb48 left");
    }
}
