//! The way to a node: plain HTTP, or TLS verified against the machine's trusted authorities.

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
        // Loopback nodes need none, so their absence must not keep the service from starting.
        Err(error) => {
            tracing::warn!(%error, "no trusted authorities on this machine: no node can be reached by https");
            verified()?.with_root_certificates(RootCertStore::empty())
        }
    };
    Ok(builder.with_no_client_auth())
}

/// The provider is named, because several in one program would make rustls panic.
fn verified() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()
}
