//! Titles of findings: `{column}` stands for what the row says there, `{column:asset}` for an amount of its asset as people say
//! it, in the units that the inventory declared at the row's own time.

use datafusion::error::Result;
use keywatch_store::inventory::{System, amount_in_words};

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

/// A title with its placeholders filled; `value` is what a column says.
pub(super) fn filled(
    template: &str,
    inventory: Option<&System>,
    value: impl Fn(&str) -> Result<Option<String>>,
) -> Result<String> {
    let mut title = String::new();
    for (before, placeholder) in parts(template) {
        title.push_str(before);
        let Some(Placeholder { column, asset }) = placeholder else { continue };
        let said = value(column)?;
        let asset = asset.map(&value).transpose()?.flatten();
        match (said, asset) {
            (Some(digits), Some(asset)) => {
                title.push_str(&amount_in_words(inventory, &digits, &asset, value("chain")?.as_deref()));
            }
            (said, _) => title.push_str(said.as_deref().unwrap_or("unknown")),
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
            assert_eq!(filled(template, None, row).unwrap(), title);
        }
    }
}
