//! What librdkafka asks back of its clients: a token of OAUTHBEARER before it connects, and another before that expires.
//! Where tokens come from is not known here.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};

use crate::Instant;

/// How long a new consumer is asked for its question for a token, which waits there already.
const FIRST_POLL: Duration = Duration::from_millis(100);

/// What a client shows the brokers.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The token itself.
    pub value: String,
    /// Whose it is, for librdkafka's own words; the brokers read it from the token.
    pub principal: String,
    /// When it expires.
    pub expires: Instant,
}

/// Gives a token that counts now, or says why there is none. It may take its time.
#[derive(Clone)]
pub struct TokenSource(Arc<dyn Fn() -> Result<Token, String> + Send + Sync>);

/// What the clients of a log know.
#[derive(Clone, Debug, Default)]
pub(super) struct Context {
    tokens: Option<TokenSource>,
    /// Times that partitions were given to a member of a group or taken from it.
    rebalances: Arc<AtomicU64>,
}

/// A consumer that can ask for tokens.
pub(super) type KafkaConsumer = BaseConsumer<Context>;

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires", &self.expires).finish_non_exhaustive()
    }
}

impl TokenSource {
    /// Whatever `give` gives. It is called on threads of librdkafka's clients.
    #[must_use]
    pub fn new(give: impl Fn() -> Result<Token, String> + Send + Sync + 'static) -> TokenSource {
        TokenSource(Arc::new(give))
    }

    fn token(&self) -> Result<Token, String> {
        (self.0)()
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource")
    }
}

impl Context {
    pub(super) fn new(tokens: Option<&TokenSource>) -> Context {
        Context { tokens: tokens.cloned(), ..Context::default() }
    }

    pub(super) fn rebalances(&self) -> u64 {
        self.rebalances.load(Ordering::Relaxed)
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        let source = self.tokens.as_ref().ok_or("nothing says where tokens come from")?;
        let token = source.token().inspect_err(|problem| tracing::warn!(problem, "there is no token for Kafka"))?;
        let lifetime_ms = token.expires.0 / 1_000_000;
        Ok(OAuthToken { token: token.value, principal_name: token.principal, lifetime_ms })
    }
}

impl ConsumerContext for Context {
    fn post_rebalance(&self, _consumer: &KafkaConsumer, rebalance: &Rebalance<'_>) {
        if !matches!(rebalance, Rebalance::Error(_)) {
            self.rebalances.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A client of this configuration. Where tokens are needed and there is none, it says why.
pub(super) fn connect<T: FromClientConfigAndContext<Context>>(
    config: &ClientConfig,
    tokens: Option<&TokenSource>,
) -> KafkaResult<T> {
    if let Some(tokens) = tokens {
        tokens.token().map_err(|problem| KafkaError::ClientCreation(format!("there is no token: {problem}")))?;
    }
    config.create_with_context(Context::new(tokens))
}

/// As [`connect`]. The consumer has its token then, so that it can be asked about topics before it is polled.
pub(super) fn consumer(config: &ClientConfig, tokens: Option<&TokenSource>) -> KafkaResult<KafkaConsumer> {
    let consumer: KafkaConsumer = connect(config, tokens)?;
    if tokens.is_some() {
        // Nothing is assigned yet: there is nothing to be received but that question.
        drop(consumer.poll(FIRST_POLL));
    }
    Ok(consumer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_handed_on_and_why_there_is_none_is_said_at_once() {
        let given = Token { value: "a.b.c".into(), principal: "keywatch".into(), expires: Instant(5_000_000_000) };
        assert!(!format!("{given:?}").contains("a.b.c"), "it is a secret");
        let source = TokenSource::new(move || Ok(given.clone()));
        let token = Context::new(Some(&source)).generate_oauth_token(None).unwrap();
        assert_eq!(
            (token.token.as_str(), token.principal_name.as_str(), token.lifetime_ms),
            ("a.b.c", "keywatch", 5000)
        );
        assert!(Context::default().generate_oauth_token(None).is_err());
        let none = TokenSource::new(|| Err("the file is empty".to_owned()));
        let refused = consumer(&ClientConfig::new(), Some(&none)).map(drop).unwrap_err().to_string();
        assert!(refused.contains("there is no token: the file is empty"), "{refused}");
    }
}
