//! The handler of the audit log.

use crate::{
    api::OperationContext,
    response::{problem::Result, reply::Reply},
    wire::AuditPageSpec,
};

pub(crate) async fn list(mut cx: OperationContext) -> Result<Reply> {
    let (caller, all) = (cx.caller()?.clone(), cx.list("audit")?);
    let spec = cx.read(|input| AuditPageSpec::read(&mut input.query, all))?;
    let events = match spec.spec() {
        Some(spec) => cx.resources.audit.list(&caller, &spec).await?,
        None => Vec::new(),
    };
    Reply::ok(&spec.show(&events))
}
