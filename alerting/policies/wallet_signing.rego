# Whether a request may be signed. Denies unless every condition holds; a field of the wrong type is a condition that
# does not hold.
package wallet.signing

import data.keywatch.revocations

# From this amount on, two people besides the initiator must have approved.
large_usd := 10000

# Scores of the destination at or above this are refused.
risk_limit := 5

approvers_needed := 2

# Who may sign: the array at `custody.signers` where the operator has put one, else the service account.
signers := data.custody.signers if {
	is_array(data.custody.signers)
} else := ["ci-bot"]

default allow := false

allow if {
	common
	input.amount_usd < large_usd
}

allow if {
	common
	input.amount_usd >= large_usd
	count(approvers) >= approvers_needed
}

common if {
	revocations.clear
	revocations.named(input.destination)
	revocations.named(input.initiator)
	operation_plain
	is_number(input.amount_usd)
	input.amount_usd > 0
	is_number(input.destination_risk_score)
	input.destination_risk_score >= 0
	input.destination_risk_score < risk_limit
	is_string(input.signer)
	input.signer in signers
}

# A call, never a delegatecall: that one runs foreign code as the wallet.
operation_plain if {
	is_number(input.operation)
	input.operation == 0
}

# Only wallets that are no contracts can leave it out.
operation_plain if {
	object.get(input, "operation", null) == null
	not startswith(lower(input.wallet), "0x")
}

# People who said yes, each once however written, the initiator never.
approvers contains lower(approval.user) if {
	is_array(input.human_approvals)
	some approval in input.human_approvals
	is_object(approval)
	approval.approved == true
	revocations.named(approval.user)
	lower(approval.user) != lower(input.initiator)
}
