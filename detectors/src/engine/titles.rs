//! Titles of findings: `{column}` stands for what the row says there, `{column:asset}` for an amount of its asset as people say
//! it, in the units that the inventory declared at the row's own time, or else in those that the token says it has. Behind the amount
//! of an asset that is declared with a price stands what it was worth then.

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

/// What a token on a chain calls itself, and with how many decimals.
type Said<'a> = dyn Fn(&str, Option<&str>) -> Option<(&'a str, usize)> + 'a;

/// The value of so many base units of an asset on a chain.
type Worth<'a> = dyn Fn(&str, &str, Option<&str>) -> Option<String> + 'a;

/// How amounts are said.
pub(super) struct Words<'a> {
    pub(super) inventory: Option<&'a System>,
    pub(super) said: &'a Said<'a>,
    pub(super) worth: &'a Worth<'a>,
}

impl Words<'_> {
    /// Adds an amount to a title, with its value behind it where the same does not stand there already.
    fn add(&self, title: &mut String, digits: &str, asset: &str, chain: Option<&str>) {
        title.push_str(&amount_as_said(self.inventory, digits, asset, chain, (self.said)(asset, chain)));
        let value = (self.worth)(digits, asset, chain).map(|value| format!(" ({value})"));
        if let Some(value) = value.filter(|value| !title.contains(value.as_str())) {
            title.push_str(&value);
        }
    }
}

/// A title with its placeholders filled; `value` is what a column says.
pub(super) fn filled(
    template: &str,
    words: &Words<'_>,
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
                words.add(&mut title, &digits, &asset, chain.as_deref());
            }
            (shown, _) => title.push_str(shown.as_deref().unwrap_or("unknown")),
        }
    }
    Ok(title)
}

#[cfg(test)]
mod tests {
    use keywatch_store::inventory::Price;

    use super::*;

    /// Nothing is worth anything.
    fn worth(_: &str, _: &str, _: Option<&str>) -> Option<String> {
        None
    }

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
            let words = Words { inventory: None, said: &|_, _| None, worth: &worth };
            assert_eq!(filled(template, &words, row).unwrap(), title);
        }
    }

    #[test]
    fn a_value_stands_once_behind_its_amount() {
        let row = |column: &str| {
            Ok(match column {
                "asked" | "moved" => Some("2500000000000000000".to_owned()),
                "left" => Some("1000000000000000000".to_owned()),
                "asset" => Some("ETH".to_owned()),
                _ => None,
            })
        };
        let worth = |digits: &str, _: &str, _: Option<&str>| {
            let price: Price = "2000".parse().unwrap();
            price.value_of(digits, 18, "USD")
        };
        let words = Words { inventory: None, said: &|_, _| None, worth: &worth };
        let template = "{moved:asset} of {asked:asset} moved, {left:asset} left";
        let title = "2.5 ETH (about 5,000 USD) of 2.5 ETH moved, 1 ETH (about 2,000 USD) left";
        assert_eq!(filled(template, &words, row).unwrap(), title);
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
        let words = Words { inventory: None, said: &said, worth: &worth };
        assert_eq!(filled("{amount:asset} left", &words, row).unwrap(), "1,000 USDC?0xa0b8…eb48 left");
    }
}
