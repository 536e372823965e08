//! Where the engine or a rule is wrong today. Generators keep away from it, so that all else is compared; the case itself
//! stands in `regressions.rs`, ignored. To take one off: make its test pass, set it to false, drop the `ignore`.

/// `lag(x, n) IGNORE NULLS` answers null when the n-th row before is null, instead of passing over it.
pub(crate) const LAG_DOES_NOT_PASS_OVER_NULLS: bool = true;

/// `session/use_after_end` adds `grace` to a claimed time; at the end of the range that overflows and parks the rule.
pub(crate) const LATEST_END_PARKS_USE_AFTER_END: bool = true;
