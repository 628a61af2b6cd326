//! The audit trail.

use crate::{
    api::context::Context, response::problem::Result, response::reply::Reply, wire::AuditPageSpec,
};

pub(crate) async fn list(mut cx: Context) -> Result<Reply> {
    let (caller, all) = (cx.caller()?.clone(), cx.list("audit")?);
    let spec = cx.read(|input| AuditPageSpec::read(&mut input.query, all))?;
    let events = match spec.spec() {
        Some(spec) => cx.app.audit.list(&caller, &spec).await?,
        None => Vec::new(),
    };
    Reply::ok(&spec.show(&events))
}
