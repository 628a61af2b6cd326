//! Builds the stanzas of the server, and reads parts of the clients' stanzas.

use crate::clock;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};

/// The address of the server.
pub(crate) const SERVER: &str = "s.whatsapp.net";
/// The location that the server claims in its stanzas.
pub(crate) const LOCATION: &str = "sim";

/// Returns an attribute as text; empty if the attribute is missing.
pub(crate) fn attribute(node: &NodeRef<'_>, name: &str) -> String {
    node.get_attr(name).map(|value| value.as_str().into_owned()).unwrap_or_default()
}

/// Returns the content of a child as bytes.
pub(crate) fn child_bytes(node: &NodeRef<'_>, tag: &str) -> Option<Vec<u8>> {
    content(node.get_optional_child(tag)?)
}

/// Returns the content of a node as bytes; the content may be encoded as a dictionary token.
pub(crate) fn content(node: &NodeRef<'_>) -> Option<Vec<u8>> {
    match node.content_bytes() {
        Some(bytes) => Some(bytes.to_vec()),
        None => node.content_as_string().map(|text| text.as_bytes().to_vec()),
    }
}

pub(crate) fn leaf(tag: &'static str, bytes: impl Into<Vec<u8>>) -> Node {
    NodeBuilder::new(tag).bytes(bytes).build()
}

pub(crate) fn parent(tag: &'static str, children: impl IntoIterator<Item = Node>) -> Node {
    NodeBuilder::new(tag).children(children).build()
}

/// Builds a query of the server.
pub(crate) fn order(id: &str, namespace: &'static str, child: Node) -> Node {
    NodeBuilder::new("iq")
        .attr("from", SERVER)
        .attr("type", "set")
        .attr("xmlns", namespace)
        .attr("id", id)
        .attr("t", clock::seconds())
        .children([child])
        .build()
}

/// Builds a successful answer.
pub(crate) fn result(id: &str, children: Vec<Node>) -> Node {
    let node = NodeBuilder::new("iq")
        .attr("from", SERVER)
        .attr("type", "result")
        .attr("id", id)
        .attr("t", clock::seconds());
    if children.is_empty() { node.build() } else { node.children(children).build() }
}

/// Builds an error answer.
pub(crate) fn refusal(id: &str, code: u16, text: &'static str) -> Node {
    let error = NodeBuilder::new("error").attr("code", code).attr("text", text).build();
    NodeBuilder::new("iq")
        .attr("from", SERVER)
        .attr("type", "error")
        .attr("id", id)
        .children([error])
        .build()
}

/// Builds the end of a stream with a code.
pub(crate) fn stream_error(code: &'static str) -> Node {
    NodeBuilder::new("stream:error").attr("code", code).build()
}

/// Builds the end of a stream after the phone removed the device.
pub(crate) fn device_removed() -> Node {
    let conflict = NodeBuilder::new("conflict").attr("type", "device_removed").build();
    NodeBuilder::new("stream:error").attr("code", "401").children([conflict]).build()
}

/// Builds the end of a stream after another login. Has no code, because some clients take 401 for a
/// log-out.
pub(crate) fn replaced() -> Node {
    let conflict = NodeBuilder::new("conflict").attr("type", "replaced").build();
    parent("stream:error", [conflict])
}

/// Builds the refusal of a client's message or receipt.
pub(crate) fn nack(node: &NodeRef<'_>, code: u16) -> Node {
    let mut ack = acknowledgement(node);
    ack.attrs.push("error", code);
    ack
}

/// Builds the acknowledgement of a client's stanza.
pub(crate) fn acknowledgement(node: &NodeRef<'_>) -> Node {
    let mut ack = NodeBuilder::new("ack")
        .attr("class", node.tag.to_string())
        .attr("id", attribute(node, "id"))
        .attr("from", attribute(node, "to"))
        .attr("t", clock::seconds());
    for name in ["participant", "recipient"] {
        if let Some(value) = node.get_attr(name) {
            ack = ack.attr(name, value.as_str().into_owned());
        }
    }
    if node.tag != "message"
        && let Some(kind) = node.get_attr("type")
    {
        ack = ack.attr("type", kind.as_str().into_owned());
    }
    ack.build()
}
