//! The settings of TLS between routers and nodes.

use clap::Args;
use serde::Deserialize;

use super::text::cleaned;
use crate::invalid::Invalid;

table!(
    /// TLS between this router and the nodes. The files of the certificate may be replaced at any time.
    NodeTls {
        /// PEM file with the certificate chain of the listener for nodes, which then speaks TLS
        /// [default: none]
        #[arg(long, env = "BERTH_NODE_TLS_CERT", value_name = "PATH")]
        node_tls_cert: String,
        /// PEM file with the private key of that certificate [default: none]
        #[arg(long, env = "BERTH_NODE_TLS_KEY", value_name = "PATH")]
        node_tls_key: String,
        /// PEM file with the authorities that issue the certificates of nodes
        /// [default: the authorities of the system]
        #[arg(long, env = "BERTH_NODE_TLS_CA", value_name = "PATH")]
        node_tls_ca: String,
    }
);
