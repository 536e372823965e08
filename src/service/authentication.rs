//! Which operator an `Authorization` header names: one of the configuration by a token, or one whom the identity provider
//! names. What each may do stands in `operators`.

use std::sync::Arc;

use keywatch_store::Instant;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::limits::OIDC_TOKEN_BYTES_MAX;
use crate::service::http::credentials::{bearer, bearer_within};
use crate::service::oidc::Oidc;
use crate::service::operators::{Configured, Operator};

/// All operators.
pub(crate) struct Operators {
    /// Those of the configuration, by their tokens.
    local: Vec<([u8; 32], Operator)>,
    /// Who names further ones.
    oidc: Option<Arc<Oidc>>,
}

impl Operators {
    /// From the configuration, which was checked.
    ///
    /// # Errors
    /// A hash that is none.
    pub(crate) fn new(configured: &[Configured]) -> anyhow::Result<Operators> {
        let operator = |configured: &Configured| {
            let mut token_sha256 = [0; 32];
            hex::decode_to_slice(&configured.token_sha256, &mut token_sha256)?;
            let Configured { name, roles, systems, .. } = configured.clone();
            Ok((token_sha256, Operator::new(name, roles, systems)))
        };
        let local = configured.iter().map(operator).collect::<anyhow::Result<_>>()?;
        Ok(Operators { local, oidc: None })
    }

    /// The same, and those whom an identity provider names.
    pub(crate) fn with_oidc(self, oidc: Option<Arc<Oidc>>) -> Operators {
        Operators { oidc, ..self }
    }

    /// Those of the configuration.
    pub(crate) fn configured(&self) -> impl Iterator<Item = &Operator> {
        self.local.iter().map(|(_, operator)| operator)
    }

    /// The identity provider that names operators.
    pub(crate) fn provider(&self) -> Option<&Arc<Oidc>> {
        self.oidc.as_ref()
    }

    /// The operator whose token an `Authorization` header carries, at `now`: one of the configuration, or one whom the
    /// identity provider names.
    pub(crate) fn identify(&self, authorization: Option<&[u8]>, now: Instant) -> Option<Operator> {
        if let Some(operator) = self.find(authorization) {
            return Some(operator.clone());
        }
        let token = bearer_within(authorization?, OIDC_TOKEN_BYTES_MAX)?;
        let named = self.oidc.as_ref()?.operator(token, now);
        named.inspect_err(|problem| tracing::debug!(%problem, "a token is no operator's")).ok()
    }

    /// The operator of the configuration whose token an `Authorization` header carries. Every entry is compared, in constant time.
    pub(crate) fn find(&self, authorization: Option<&[u8]>) -> Option<&Operator> {
        let presented: [u8; 32] = Sha256::digest(bearer(authorization?)?).into();
        let mut found = u32::MAX;
        for (index, (token_sha256, _)) in (0u32..).zip(&self.local) {
            let same: Choice = token_sha256.ct_eq(&presented);
            found.conditional_assign(&index, same);
        }
        self.local.get(usize::try_from(found).ok()?).map(|(_, operator)| operator)
    }
}
