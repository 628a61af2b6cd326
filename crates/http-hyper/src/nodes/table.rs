//! The table of the calls that nodes make.

/// One call, a POST.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeOperation {
    /// The path template.
    pub(super) path: &'static str,
    /// The name in the access log and in metrics.
    pub(super) name: &'static str,
    pub(super) call: NodeCall,
}

/// The kind of a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum NodeCall {
    Register,
    Heartbeat,
    Report,
    Deliver,
}

/// Every call of the nodes' listener.
pub(super) const NODE_OPERATIONS: [NodeOperation; 4] = [
    NodeOperation {
        path: "/node/v1/gateways/{gateway}:enlist",
        name: "node_enlist",
        call: NodeCall::Register,
    },
    NodeOperation {
        path: "/node/v1/gateways/{gateway}:beat",
        name: "node_beat",
        call: NodeCall::Heartbeat,
    },
    NodeOperation {
        path: "/node/v1/gateways/{gateway}:report",
        name: "node_report",
        call: NodeCall::Report,
    },
    NodeOperation {
        path: "/node/v1/gateways/{gateway}:deliver",
        name: "node_deliver",
        call: NodeCall::Deliver,
    },
];
