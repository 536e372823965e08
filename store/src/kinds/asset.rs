//! The kinds of assets: what they are worth.

use super::kind::{Kind, source};

/// Every kind of them.
pub(super) const KINDS: &[Kind] = &[source(
    "asset.price",
    "what a whole unit of an asset (`asset`, and `chain`) is worth; believed from the asset's `price_source` in the inventory, for a \
     day, for what people read; no rule that comes with keywatch reads it",
    &[],
    &[
        ("price", "text", "a decimal number above zero, up to 18 digits before and behind the point"),
        ("currency", "text", "the currency of the price, which has to be the system's: USD where that declares none"),
    ],
)];
