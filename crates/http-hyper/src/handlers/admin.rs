//! The endpoints of the platform's own people.

use domain::OrganizationId;

use crate::{
    api::context::Context, response::problem::Result, response::reply::Reply, wire::SessionPageSpec,
};

/// An organization that cannot be has no sessions; as everywhere, that is no fault.
pub(crate) async fn sessions(mut cx: Context) -> Result<Reply> {
    let (caller, all) = (cx.caller()?.clone(), cx.list("admin-sessions")?);
    let (organization, page) = cx.read(|input| {
        let organization = input.query.text("organizationId");
        let all =
            organization.iter().fold(all, |all, name| all.with_filter("organizationId", name));
        (organization, SessionPageSpec::read(&mut input.query, all))
    })?;
    let named = organization.as_deref().map(OrganizationId::parse);
    let sessions = match (page.spec(), &named) {
        (None, _) | (_, Some(None)) => Vec::new(),
        (Some(spec), named) => {
            let organization = named.as_ref().and_then(Option::as_ref);
            cx.app.operators.sessions(&caller, organization, &spec).await?
        }
    };
    Reply::ok(&page.show(&sessions))
}
