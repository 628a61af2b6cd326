//! Connections to nodes: plain HTTP, or TLS verified against the machine's certificate authorities.

use std::{sync::Arc, time::Duration};

use hyper_rustls::{ConfigBuilderExt, HttpsConnector};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

/// Connects to `http://` and `https://` addresses.
pub(crate) fn connector(connect: Duration) -> Result<HttpsConnector<HttpConnector>, rustls::Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(connect));
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls()?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(connector)
}

fn tls() -> Result<ClientConfig, rustls::Error> {
    let builder = match verified()?.with_native_roots() {
        Ok(builder) => builder,
        // Nodes on plain HTTP need no authorities, so their absence must not prevent the start.
        Err(error) => {
            tracing::warn!(%error, "no certificate authorities on this machine: nodes cannot be reached by https");
            verified()?.with_root_certificates(RootCertStore::empty())
        }
    };
    Ok(builder.with_no_client_auth())
}

/// The provider is explicit, because rustls panics if a program has several default providers.
fn verified() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()
}
