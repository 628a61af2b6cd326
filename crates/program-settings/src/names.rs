//! The names of the variables of both programs. Tests of `server` and `gateway` compare the lists
//! with the arguments of the programs.

/// The variables that `berth` reads.
pub const ROUTER_VARIABLES: &[&str] = &[
    "BERTH_ACKNOWLEDGEMENT_DEADLINE",
    "BERTH_API_KEY_QUOTA",
    "BERTH_AUDIT_RETENTION",
    "BERTH_BACKUP_KEY",
    "BERTH_BROWSER_IDLE",
    "BERTH_BROWSER_LIFETIME",
    "BERTH_CONFIG",
    "BERTH_CREDENTIAL_RATE",
    "BERTH_CREDENTIAL_STREAMS",
    "BERTH_DATABASE_URL",
    "BERTH_FEED_RETENTION",
    "BERTH_FLEET_NODES",
    "BERTH_FLEET_SECRET",
    "BERTH_GATEWAY_BIN",
    "BERTH_GATEWAY_DATA",
    "BERTH_HEARTBEAT",
    "BERTH_IDEMPOTENCY_QUOTA",
    "BERTH_JWKS",
    "BERTH_JWKS_ALLOW_HTTP",
    "BERTH_JWT_AUDIENCE",
    "BERTH_JWT_ISSUER",
    "BERTH_JWT_ORG_CLAIM",
    "BERTH_JWT_PLATFORM_ROLE_CLAIM",
    "BERTH_JWT_PRESET",
    "BERTH_JWT_ROLE_CLAIM",
    "BERTH_KEEP_ALIVE",
    "BERTH_KEY_RETENTION",
    "BERTH_LEASE",
    "BERTH_LISTEN",
    "BERTH_LOG",
    "BERTH_LOGOUT_DEADLINE",
    "BERTH_LOG_FORMAT",
    "BERTH_MESSAGE_QUEUE",
    "BERTH_METADATA_QUOTA",
    "BERTH_NODE_LISTEN",
    "BERTH_NODE_TLS_CA",
    "BERTH_NODE_TLS_CERT",
    "BERTH_NODE_TLS_KEY",
    "BERTH_NODE_TOKENS",
    "BERTH_OIDC_CLIENT_ID",
    "BERTH_OIDC_CLIENT_SECRET",
    "BERTH_OIDC_ISSUER",
    "BERTH_OIDC_SCOPES",
    "BERTH_OPS_LISTEN",
    "BERTH_ORGANIZATION_RATE",
    "BERTH_ORGANIZATION_STREAMS",
    "BERTH_PAIRING_RATE",
    "BERTH_PUBLIC_URL",
    "BERTH_RETIREMENT_DEADLINE",
    "BERTH_ROUTER_STREAMS",
    "BERTH_SEAL_KEYS",
    "BERTH_SEND_DEADLINE",
    "BERTH_SESSION_QUOTA",
    "BERTH_SHARE_LINK_QUOTA",
    "BERTH_START_DEADLINE",
    "BERTH_TRUSTED_PROXIES",
    "BERTH_UI",
    "BERTH_UI_HANDOVER_ORIGINS",
    "BERTH_WEBHOOK_ALLOW",
    "BERTH_WEBHOOK_QUOTA",
    "BERTH_WHATSAPP_URL",
];

/// The variables that `berth-gateway` reads.
pub const NODE_VARIABLES: &[&str] = &[
    "BERTH_BACKUP_KEY",
    "BERTH_FLEET_SECRET",
    "BERTH_GATEWAY_ADVERTISE",
    "BERTH_GATEWAY_CAPACITY",
    "BERTH_GATEWAY_DATA",
    "BERTH_GATEWAY_ID",
    "BERTH_GATEWAY_KEYS_IN_MEMORY",
    "BERTH_GATEWAY_LISTEN",
    "BERTH_GATEWAY_MAX_LINKING",
    "BERTH_GATEWAY_NICE",
    "BERTH_GATEWAY_OPS_LISTEN",
    "BERTH_GATEWAY_ROUTER",
    "BERTH_GATEWAY_TLS_CERT",
    "BERTH_GATEWAY_TLS_KEY",
    "BERTH_LOG",
    "BERTH_LOG_FORMAT",
    "BERTH_NODE_TLS_CA",
    "BERTH_NODE_TOKEN",
    "BERTH_WHATSAPP_URL",
];

/// The prefix of both programs' variables.
pub(crate) const PREFIX: &str = "BERTH_";
/// The suffix of the variable that names a file with a setting's value.
pub(crate) const FILE_SUFFIX: &str = "_FILE";

/// Returns whether one of the programs reads the variable.
pub(crate) fn is_known(variable: &str) -> bool {
    let setting = variable.strip_suffix(FILE_SUFFIX).unwrap_or(variable);
    [ROUTER_VARIABLES, NODE_VARIABLES]
        .iter()
        .any(|names| names.contains(&variable) || names.contains(&setting))
}
