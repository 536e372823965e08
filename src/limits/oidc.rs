//! Limits of operators whom an identity provider names, and of tokens that a provider gives keywatch.

/// Bytes of a token of an identity provider that are looked at; with many groups in it, it is long.
pub(crate) const OIDC_TOKEN_BYTES_MAX: usize = 16 * 1_024;

/// Seconds from now until which such a token may be good: what is stolen ends by itself.
pub(crate) const OIDC_TOKEN_SECONDS_MAX: i64 = 86_400;

/// Seconds by which the clock of an identity provider may differ.
pub(crate) const OIDC_SKEW_SECONDS_MAX: u32 = 300;

/// Seconds after which the keys of an identity provider are fetched again.
pub(crate) const OIDC_KEYS_SECONDS: u64 = 600;

/// Seconds between two attempts to fetch them, whoever asks.
pub(crate) const OIDC_KEYS_SECONDS_MIN: u64 = 15;

/// Nanoseconds for which they are good where they cannot be fetched again.
pub(crate) const OIDC_KEYS_NS_MAX: i64 = 24 * 3_600 * 1_000_000_000;

/// Seconds that fetching them may take.
pub(crate) const OIDC_ANSWER_SECONDS_MAX: u64 = 10;

/// Bytes of a key set.
pub(crate) const OIDC_KEYS_BYTES_MAX: usize = 256 * 1_024;

/// Bytes of the name of an operator.
pub(crate) const OIDC_NAME_BYTES_MAX: usize = 200;

/// Seconds that a provider of tokens has for its answer.
pub(crate) const TOKEN_PROVIDER_SECONDS_MAX: u64 = 10;

/// Bytes of that answer.
pub(crate) const TOKEN_PROVIDER_BYTES_MAX: usize = 64 << 10;

/// Seconds between two questions for a token where there is none, or where it lasts no longer.
pub(crate) const TOKEN_RETRY_SECONDS: u64 = 15;

/// Seconds that a token is taken to last of which the provider does not say it.
pub(crate) const TOKEN_LASTS_SECONDS: u32 = 300;

/// Seconds from where people leave for the identity provider until they have to be back.
pub(crate) const OIDC_SIGN_IN_SECONDS_MAX: u64 = 600;

/// Codes of an identity provider that are exchanged at once.
pub(crate) const OIDC_SIGN_INS_CONCURRENT_MAX: usize = 16;

/// Bytes of the address that who signs in goes on to; it stands in a cookie, of which browsers take 4096 bytes.
pub(crate) const OIDC_SIGN_IN_PATH_BYTES_MAX: usize = 1_024;
