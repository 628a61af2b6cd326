//! The stanzas the server says, and short words for reading what a client says.

use crate::clock;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};

/// The address of the server itself.
pub(crate) const SERVER: &str = "s.whatsapp.net";
/// Where the server says it stands.
pub(crate) const LOCATION: &str = "sim";

/// An attribute as text, empty when it is not there.
pub(crate) fn attribute(node: &NodeRef<'_>, name: &str) -> String {
    node.get_attr(name).map(|value| value.as_str().into_owned()).unwrap_or_default()
}

/// The bytes of a child, when it has any.
pub(crate) fn child_bytes(node: &NodeRef<'_>, tag: &str) -> Option<Vec<u8>> {
    content(node.get_optional_child(tag)?)
}

/// A node's content as bytes, whether it came as bytes or as a word of the dictionary.
pub(crate) fn content(node: &NodeRef<'_>) -> Option<Vec<u8>> {
    match node.content_bytes() {
        Some(bytes) => Some(bytes.to_vec()),
        None => node.content_as_string().map(|text| text.as_bytes().to_vec()),
    }
}

/// The user of an address: what stands before the device and the server.
pub(crate) fn user(jid: &str) -> &str {
    jid.split(['@', ':', '.']).next().unwrap_or(jid)
}

/// The device of an address, 0 being the phone itself.
pub(crate) fn device(jid: &str) -> u32 {
    let name = jid.split('@').next().unwrap_or_default();
    name.split_once(':').and_then(|(_, device)| device.parse().ok()).unwrap_or(0)
}

pub(crate) fn leaf(tag: &'static str, bytes: impl Into<Vec<u8>>) -> Node {
    NodeBuilder::new(tag).bytes(bytes).build()
}

pub(crate) fn parent(tag: &'static str, children: impl IntoIterator<Item = Node>) -> Node {
    NodeBuilder::new(tag).children(children).build()
}

/// A question or order from the server.
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

/// The server's yes, with what was asked for.
pub(crate) fn result(id: &str, children: Vec<Node>) -> Node {
    let node = NodeBuilder::new("iq")
        .attr("from", SERVER)
        .attr("type", "result")
        .attr("id", id)
        .attr("t", clock::seconds());
    if children.is_empty() { node.build() } else { node.children(children).build() }
}

/// The server's no.
pub(crate) fn refusal(id: &str, code: u16, text: &'static str) -> Node {
    let error = NodeBuilder::new("error").attr("code", code).attr("text", text).build();
    NodeBuilder::new("iq")
        .attr("from", SERVER)
        .attr("type", "error")
        .attr("id", id)
        .children([error])
        .build()
}

/// The end of a stream, by code.
pub(crate) fn stream_error(code: &'static str) -> Node {
    NodeBuilder::new("stream:error").attr("code", code).build()
}

/// The phone removed the device.
pub(crate) fn device_removed() -> Node {
    let conflict = NodeBuilder::new("conflict").attr("type", "device_removed").build();
    NodeBuilder::new("stream:error").attr("code", "401").children([conflict]).build()
}

/// Another socket took over. Without a code: with 401 some clients would read it as a log-out.
pub(crate) fn replaced() -> Node {
    let conflict = NodeBuilder::new("conflict").attr("type", "replaced").build();
    parent("stream:error", [conflict])
}

/// Confirms a stanza of the client.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_parsed() {
        assert_eq!((user("1555:3@s.whatsapp.net"), device("1555:3@s.whatsapp.net")), ("1555", 3));
        assert_eq!((user("900@lid"), device("900@lid")), ("900", 0));
        assert_eq!((user("1555.0:7@s.whatsapp.net"), device("")), ("1555", 0));
    }
}
