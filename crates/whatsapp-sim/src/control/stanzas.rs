//! Stanzas as JSON, for tests that send devices what WhatsApp would not.

use super::{ControlError, bad_request};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;
use wacore_binary::{Attrs, Node, NodeContent};

/// A stanza, or a part of one. At most one of `text`, `base64` and `children` is given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StanzaSpec {
    tag: String,
    #[serde(default)]
    attrs: BTreeMap<String, String>,
    text: Option<String>,
    base64: Option<String>,
    children: Option<Vec<Self>>,
}

/// Builds a stanza from its description.
pub(super) fn node(spec: &StanzaSpec) -> Result<Node, ControlError> {
    let content = match (&spec.text, &spec.base64, &spec.children) {
        (None, None, None) => None,
        (Some(text), None, None) => Some(NodeContent::String(text.as_str().into())),
        (None, Some(bytes), None) => {
            Some(NodeContent::Bytes(BASE64_STANDARD.decode(bytes).map_err(bad_request)?))
        }
        (None, None, Some(children)) => {
            Some(NodeContent::Nodes(children.iter().map(node).collect::<Result<_, _>>()?))
        }
        _ => return Err(bad_request("give at most one of text, base64 and children")),
    };
    let mut attrs = Attrs::new();
    for (name, value) in &spec.attrs {
        attrs.push(name.clone(), value.as_str());
    }
    Ok(Node::new(spec.tag.clone(), attrs, content))
}
