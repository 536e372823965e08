//! Calls that change something that matters, by what they change.

/// Administration of keys.
pub(super) const KEYS: &[&str] = &[
    "CreateKey",
    "ScheduleKeyDeletion",
    "CancelKeyDeletion",
    "DisableKey",
    "EnableKey",
    "PutKeyPolicy",
    "CreateGrant",
    "RetireGrant",
    "RevokeGrant",
    "ImportKeyMaterial",
    "DeleteImportedKeyMaterial",
    "GetPublicKey",
    "CreateAlias",
    "UpdateAlias",
    "DeleteAlias",
    "ReplicateKey",
    "UpdatePrimaryRegion",
    "EnableKeyRotation",
    "DisableKeyRotation",
];

/// What opens or closes a way through the network.
pub(super) const NETWORK: &[&str] = &[
    "AuthorizeSecurityGroup*",
    "RevokeSecurityGroup*",
    "ModifySecurityGroupRules",
    "CreateSecurityGroup",
    "DeleteSecurityGroup",
    "ModifyInstanceAttribute",
    "CreateNetworkAclEntry",
    "ReplaceNetworkAclEntry",
    "DeleteNetworkAclEntry",
    "CreateRoute",
    "ReplaceRoute",
    "DeleteRoute",
    "CreateVpcPeeringConnection",
    "AcceptVpcPeeringConnection",
    "CreateTransitGatewayVpcAttachment",
    "CreateInternetGateway",
    "AttachInternetGateway",
    "CreateVpcEndpoint",
    "ModifyVpcEndpoint",
    "DeleteVpcEndpoints",
];

/// What blinds somebody, or lets them see again.
pub(super) const LOGGING: &[&str] = &[
    "CreateTrail",
    "StopLogging",
    "StartLogging",
    "DeleteTrail",
    "UpdateTrail",
    "PutEventSelectors",
    "CreateFlowLogs",
    "DeleteFlowLogs",
    "StopConfigurationRecorder",
    "DeleteConfigurationRecorder",
    "DeleteDetector",
    "UpdateDetector",
    "PutBucketLifecycle*",
    "DeleteLogGroup",
    "DeleteLogStream",
    "PutRetentionPolicy",
];

/// What gives somebody a right, or a new way to use one.
pub(super) const IDENTITIES: &[&str] = &[
    "CreateAccessKey",
    "UpdateAccessKey",
    "AttachRolePolicy",
    "AttachUserPolicy",
    "AttachGroupPolicy",
    "PutRolePolicy",
    "PutUserPolicy",
    "PutGroupPolicy",
    "CreatePolicyVersion",
    "SetDefaultPolicyVersion",
    "UpdateAssumeRolePolicy",
    "CreateLoginProfile",
    "UpdateLoginProfile",
    "AssumeRoot",
    "CreateUser",
    "CreateRole",
    "AddUserToGroup",
    "CreateSAMLProvider",
    "UpdateSAMLProvider",
    "CreateOpenIDConnectProvider",
    "CreateVirtualMFADevice",
    "DeleteVirtualMFADevice",
    "EnableMFADevice",
    "DeactivateMFADevice",
];

/// What decides otherwise from then on (Verified Permissions).
pub(super) const POLICIES: &[&str] =
    &["CreatePolicy", "UpdatePolicy", "DeletePolicy", "CreatePolicyTemplate", "UpdatePolicyTemplate", "PutSchema"];

/// Where the parameters of those calls name what was changed.
pub(super) const TARGET: &str = "requestParameters.aliasName | requestParameters.groupId | requestParameters.roleName | \
     requestParameters.userName | requestParameters.policyArn | requestParameters.name | requestParameters.trailName | \
     requestParameters.vpcEndpointId | requestParameters.routeTableId | requestParameters.networkAclId | \
     requestParameters.detectorId | requestParameters.bucketName | requestParameters.granteePrincipal | \
     requestParameters.policyStoreId | requestParameters.keyId | requestParameters.instanceId";
