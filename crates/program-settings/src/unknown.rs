//! `BERTH_*` variables that neither program reads.

use std::fmt;

use crate::{
    names::{FILE_SUFFIX, NODE_VARIABLES, PREFIX, ROUTER_VARIABLES},
    nearest::nearest,
};

/// A `BERTH_*` variable that neither program reads, probably misspelt. The text shows the name,
/// escaped for a log, and the nearest known name. The text never contains the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownVariable {
    /// The name, escaped.
    pub name: String,
    /// A known name that differs in few letters.
    pub nearest: Option<String>,
}

impl UnknownVariable {
    pub(crate) fn new(name: &str) -> Self {
        let (setting, suffix) =
            name.strip_suffix(FILE_SUFFIX).map_or((name, ""), |setting| (setting, FILE_SUFFIX));
        // The common prefix is no evidence that two names are alike.
        let known = ROUTER_VARIABLES.iter().chain(NODE_VARIABLES);
        let known = known.filter_map(|known| known.strip_prefix(PREFIX));
        let own = setting.strip_prefix(PREFIX).unwrap_or(setting);
        let nearest = nearest(own, known).map(|known| format!("{PREFIX}{known}{suffix}"));
        Self { name: name.escape_debug().to_string(), nearest }
    }
}

impl fmt::Display for UnknownVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.nearest {
            Some(nearest) => write!(f, "{} (did you mean {nearest}?)", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Returns whether Kubernetes sets this variable for a Service whose name begins with `berth`
/// (`enableServiceLinks`), as in `BERTH_SERVICE_HOST` and `BERTH_PORT_8080_TCP`. The forms are those
/// of Kubernetes' documentation of Services, "Environment variables".
pub(crate) fn is_service_link(name: &str, value: &str) -> bool {
    let url = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    if name.ends_with("_SERVICE_HOST") || name.ends_with("_SERVICE_PORT") {
        return true;
    }
    if name.contains("_SERVICE_PORT_") || (name.ends_with("_PORT") && url) {
        return true;
    }
    name.rsplit_once("_PORT_").is_some_and(|(_, port)| is_port_form(port))
}

/// Returns whether the text is `8080_TCP`, or one with `_PROTO`, `_PORT` or `_ADDR` behind it.
fn is_port_form(text: &str) -> bool {
    let mut parts = text.split('_');
    let number = parts.next().is_some_and(|part| part.parse::<u16>().is_ok());
    let protocol = parts.next().is_some_and(|part| ["TCP", "UDP", "SCTP"].contains(&part));
    let rest = parts.next().is_none_or(|part| ["PROTO", "PORT", "ADDR"].contains(&part));
    number && protocol && rest && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_variable_names_the_nearest_known_one() {
        let text = |name| UnknownVariable::new(name).to_string();
        assert_eq!(
            text("BERTH_DATABASE_URI"),
            "BERTH_DATABASE_URI (did you mean BERTH_DATABASE_URL?)"
        );
        assert_eq!(
            text("BERTH_NODE_TOKNES_FILE"),
            "BERTH_NODE_TOKNES_FILE (did you mean BERTH_NODE_TOKENS_FILE?)"
        );
        assert_eq!(text("BERTH_SOMETHING_ELSE"), "BERTH_SOMETHING_ELSE");
    }

    #[test]
    fn variables_of_kubernetes_services_are_known_by_their_form() {
        for name in [
            "BERTH_SERVICE_HOST",
            "BERTH_SERVICE_PORT",
            "BERTH_SERVICE_PORT_HTTP",
            "BERTH_PORT_8080_TCP",
            "BERTH_PORT_8080_TCP_ADDR",
            "BERTH_PORT_8080_TCP_PORT",
            "BERTH_PORT_8080_TCP_PROTO",
            "BERTH_NODES_PORT_53_UDP",
        ] {
            assert!(is_service_link(name, "10.0.0.1"), "{name}");
        }
        assert!(is_service_link("BERTH_PORT", "tcp://10.0.0.1:8080"));
        for (name, value) in [
            ("BERTH_PORT", "8080"),
            ("BERTH_PORT_HTTP", "80"),
            ("BERTH_PORT_8080", "x"),
            ("BERTH_PORT_8080_TCP_X", "x"),
            ("BERTH_DATABASE_URI", "tcp://x"),
        ] {
            assert!(!is_service_link(name, value), "{name}");
        }
        let known = ROUTER_VARIABLES.iter().chain(NODE_VARIABLES);
        assert_eq!(known.filter(|name| is_service_link(name, "tcp://x")).count(), 0);
    }
}
