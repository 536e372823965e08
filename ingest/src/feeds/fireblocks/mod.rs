//! Fireblocks webhooks, version 2: requests, approvals, signatures and transactions of a custody workspace, and changes of
//! its allow-lists and vaults.

mod asset;

use serde_json::Value;

use super::table::Column::{AmountUsd, Asset, FromAddress, Reason, Request, ToAddress, Tx, Wallet};
use super::table::{About, Column, Draft, Fact, Finish, Table, Words, on, pass, path};
use crate::signature::{self, Algorithm, Keys, Refused};
use crate::{Context, Problem};

const STATUS: &[&str] = &["transaction.status.updated"];

/// Statuses before anything was signed.
const UNDECIDED: &[&str] = &["SUBMITTED", "QUEUED", "PENDING_*", "CANCELLING"];

/// Where a transaction comes from that this workspace did not sign.
const FOREIGN: (&str, &[&str]) =
    ("data.source.type", &["UNKNOWN", "EXTERNAL_WALLET", "INTERNAL_WALLET", "NETWORK_CONNECTION"]);

/// Operations whose result is a signature and no transaction.
const SIGNS_ONLY: &[&str] = &["RAW", "TYPED_MESSAGE"];

const TARGET: &[(&str, Fact)] =
    &[("act", Fact::At("eventType")), ("target", Fact::At("data.address | data.name | data.id | resourceId"))];

/// The feed `fireblocks`.
pub static FIREBLOCKS: Table = Table {
    name: "fireblocks",
    about: About {
        title: "Fireblocks webhooks",
        what: "What the custody platform is asked to sign, who approved or refused, what was signed and what became of it on \
               chain; and changes of allow-lists and vaults. The request is the id that the business gave it \
               (`externalTxId`), else the platform's; the wallet is the vault account.",
        format: "Fireblocks, Webhooks v2: envelope and `TransactionResponse`",
        delivery: "HTTPS POST, signed as a whole: `Fireblocks-Webhook-Signature` is a detached JWS (RS512) over the raw body \
                   (`fireblocks::verify`). Repeated until answered, in no order: `lastUpdated` is the event time. What was \
                   missed can be sent again through their notifications API for 31 days.",
        traps: &[
            "The signature is over the bytes as they came; a body that was parsed and written again does not verify.",
            "`createdAt` is in seconds in the documentation and in milliseconds elsewhere; its size tells.",
            "`RAW` and `TYPED_MESSAGE` sign what nobody can read, and are never broadcast: they are signed when they are \
             `COMPLETED`, all others when they are `BROADCASTING`. The same holds for what Fireblocks does not broadcast.",
            "A `FAILED` transaction with a hash failed on chain, one without was not signed.",
            "What comes in is told like what goes out. A source outside the workspace is a deposit, `chain.transfer` with the \
             vault account that receives it, and nobody asked for a signature.",
            "Amounts are in units of the asset. They fill `amount` for the assets whose decimals are known for certain, and \
             stand in `detail.amount_text` for all.",
            "The status of an approval is that of the transaction; who approved last is the last of `signedBy`. Where nobody \
             is, nobody approved yet, and nothing is told.",
            "A webhook that is replayed is the same event again, by the envelope's `id`, and is skipped.",
        ],
    },
    wrapper: None,
    decode: None,
    unfold: None,
    select: "eventType",
    cases: &[
        on(&["transaction.created", "transaction.status.updated"], "chain.transfer")
            .and(&[FOREIGN])
            .outcome(Fact::By(Words {
                from: "data.status",
                words: &[
                    ("COMPLETED", "success"),
                    ("CONFIRMING", "unconfirmed"),
                    ("SUBMITTED", "unconfirmed"),
                    ("PENDING_*", "unconfirmed"),
                    ("QUEUED", "unconfirmed"),
                    ("BROADCASTING", "unconfirmed"),
                ],
                otherwise: Some("failed"),
            }))
            .columns(&[(Wallet, "data.destination.id")])
            .says(&[("direction", Fact::Is("in"))]),
        on(&["transaction.created"], "signing.requested").columns(&[(Column::Actor, "data.createdBy")]),
        on(&["transaction.approval_status.updated"], "signing.rejected")
            .and(&[("data.status", &["REJECTED", "BLOCKED", "CANCELLED", "FAILED"])])
            .columns(&[(Column::Actor, "data.rejectedBy")]),
        pass(&["transaction.approval_status.updated"]).and(&[("data.signedBy.0", &[""])]),
        on(&["transaction.approval_status.updated"], "signing.approved"),
        pass(STATUS).and(&[("data.status", UNDECIDED)]),
        on(STATUS, "signing.rejected")
            .and(&[("data.status", &["REJECTED", "BLOCKED", "CANCELLED"])])
            .columns(&[(Column::Actor, "data.rejectedBy")]),
        on(STATUS, "signing.signed").and(&[("data.status", &["BROADCASTING"])]).outcome(Fact::Is("success")),
        on(STATUS, "signing.signed")
            .and(&[("data.status", &["COMPLETED"]), ("data.operation", SIGNS_ONLY)])
            .outcome(Fact::Is("success")),
        on(STATUS, "signing.signed")
            .and(&[("data.status", &["COMPLETED"]), ("data.notBroadcastByFireblocks", &["true"])])
            .outcome(Fact::Is("success")),
        on(STATUS, "signing.failed").and(&[("data.status", &["FAILED"]), ("data.txHash", &[""])]),
        on(STATUS, "chain.tx").and(&[("data.status", &["FAILED"])]).outcome(Fact::Is("failed")),
        on(STATUS, "chain.tx").and(&[("data.status", &["CONFIRMING"])]).outcome(Fact::Is("unconfirmed")),
        on(STATUS, "chain.tx").and(&[("data.status", &["COMPLETED"])]).outcome(Fact::Is("success")),
        on(&["transaction.alert.stuck_confirming"], "chain.tx").outcome(Fact::Is("unconfirmed")),
        on(&["external_wallet.asset.*", "internal_wallet.asset.*", "contract_wallet.asset.*"], "control.destination")
            .outcome(Fact::Is("success"))
            .columns(&[(ToAddress, "data.address")])
            .says(TARGET),
        pass(&["vault_account.asset.balance_updated"]),
        on(
            &["vault_account.*", "embedded_wallet.*", "connection.*", "exchange_account.*", "ticket.*", "*_wallet.*"],
            "control.wallet",
        )
        .outcome(Fact::Is("success"))
        .says(TARGET),
    ],
    id: &["id"],
    time: "data.lastUpdated | createdAt",
    columns: &[
        (Request, "data.externalTxId | data.id | resourceId"),
        (Wallet, "data.source.id"),
        (Tx, "data.txHash"),
        (Asset, "data.assetId"),
        (FromAddress, "data.sourceAddress"),
        (ToAddress, "data.destinationAddress"),
        (AmountUsd, "data.amountInfo.amountUSD"),
        (Reason, "data.subStatus"),
    ],
    facts: &[
        ("act", Fact::At("data.operation")),
        ("fireblocks_id", Fact::At("data.id")),
        ("status", Fact::At("data.status")),
        ("amount_text", Fact::At("data.amountInfo.amount")),
        ("address_type", Fact::At("data.addressType")),
        ("signed_by", Fact::At("data.signedBy")),
        ("authorization", Fact::At("data.authorizationInfo")),
        ("aml", Fact::At("data.amlScreeningResult")),
        ("signed_messages", Fact::At("data.signedMessages")),
        ("workspace", Fact::At("workspaceId")),
    ],
    hidden: &[],
    finish: Some(Finish(complete)),
    example: include_str!("example.json"),
};

/// Whether a webhook is Fireblocks': `header` is `Fireblocks-Webhook-Signature`, `body` the bytes as they came, `keys`
/// Fireblocks' published set.
///
/// # Errors
/// [`Refused`] with the reason.
pub fn verify(keys: &Keys, header: &str, body: &[u8]) -> Result<(), Refused> {
    signature::detached(keys, &[Algorithm::Rs512], header, body)
}

/// Who approved last, and the amount in base units where the asset is known.
fn complete(_: &Context<'_>, record: &Value, draft: &mut Draft) -> Result<(), Problem> {
    use keywatch_store::event::TextColumn;
    if draft.event.get(TextColumn::Kind) == Some("signing.approved") {
        let approvers = path::find(record, "data.signedBy").and_then(Value::as_array);
        draft.event.actor(approvers.and_then(|approvers| approvers.last()?.as_str()));
    }
    let kind = draft.event.get(TextColumn::Kind).unwrap_or_default();
    let (controls, transfers) = (kind.starts_with("control."), kind == "chain.transfer");
    if controls || transfers {
        draft.event.request(None::<&str>);
    }
    if controls {
        return Ok(());
    }
    let text = |path: &str| path::find(record, path).and_then(super::table::value::scalar);
    let Some(asset) = text("data.assetId").and_then(|id| asset::find(&id)) else { return Ok(()) };
    draft.event.chain(asset.chain);
    if let Some(amount) = text("data.amountInfo.amount | data.amountInfo.requestedAmount") {
        let units = asset::base_units(&amount, asset.decimals);
        let units = units.ok_or_else(|| Problem::new("data.amountInfo.amount", "is no amount of the asset"))?;
        draft.set(Column::Amount, &units).map_err(|reason| Problem::new("data.amountInfo.amount", reason))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
