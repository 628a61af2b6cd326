//! The handlers of share links for their owners, each below its operation doc.

use domain::{
    Error, LinkId, NewShareLink, ShareLink, Timestamp,
    ports::{Position, ShareLinkPage},
};

use crate::{
    api::OperationContext,
    openapi::{
        failure::Failure,
        failures::LINKS_FULL,
        operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape},
    },
    request::{conditions::IfMatch, cursor::CursorPosition, page::Page},
    resources::Resources,
    response::{problem::Result, reply::Reply},
    wire::{ListView, NewShareLinkSpec, NewShareLinkView, ShareLinkView},
};

pub(crate) static LINK_LIST: OperationDoc = OperationDoc::new(
    DocTag::Pairing,
    "List the share links of a session",
    "Newest first, in pages. A link stays listed for an hour after its end.",
    ResponseDoc::new(200, "A page.", &[Content::Json(Shape::of::<ListView<ShareLinkView>>())]),
);

pub(crate) async fn list(mut cx: OperationContext) -> Result<Reply> {
    let caller = cx.caller()?.clone();
    let all = cx.list("links")?.with_filter("session", cx.path("session"));
    let page = cx.read(|input| Page::read(&mut input.query, all))?;
    let after = page.after.map(|position| Position {
        created_at: position.created_at,
        id: LinkId::from_bits(position.bits),
    });
    let spec = ShareLinkPage { after, limit: page.with_one_more() };
    let found = cx.resources.links.list(&caller, cx.path("session"), &spec).await?;
    let (links, next_cursor) = page.paginate(found, position);
    let now = cx.resources.environment.now();
    let data: Vec<_> = links.iter().map(|link| ShareLinkView::of(link, now)).collect();
    Reply::ok(&ListView { data, next_cursor })
}

fn position(link: &ShareLink) -> CursorPosition {
    CursorPosition { created_at: link.created_at, bits: link.id.bits() }
}

pub(crate) static LINK_CREATE: OperationDoc = OperationDoc::new(
    DocTag::Pairing,
    "Create a share link",
    "Give its `url` to the holder of a phone, who links the phone without a key: once, in one browser, within \
     `expiresIn`. The link ends when a phone is linked, when three pairing attempts end without a phone, when \
     the link expires or is revoked, and when the session is deleted.",
    ResponseDoc::new(
        201,
        "The link. No later response contains `url`.",
        &[Content::Json(Shape::of::<NewShareLinkView>())],
    )
    .located(),
)
.accepts(Shape::of::<NewShareLinkSpec>())
.fails(&[&PAIRED_ALREADY, &TOO_MANY_LINKS, &LINKS_FULL]);

pub(crate) async fn create(mut cx: OperationContext) -> Result<Reply> {
    let (caller, links) = (cx.caller()?.clone(), cx.resources.links.clone());
    let NewShareLinkSpec(spec) = NewShareLinkSpec::read(&mut cx.input.body);
    // 403 precedes the faults of the body.
    let violations = links.violations(&caller, &spec)?;
    cx.input.body.add_faults_of_valid_fields(violations);
    cx.input.finish()?;
    let now = cx.resources.environment.now();
    let recorder = cx.recorder(|new| created(&cx.resources, new, now));
    let new = links.create(&caller, cx.path("session"), &spec, recorder.as_deref()).await?;
    created(&cx.resources, &new, now)
}

fn created(resources: &Resources, new: &NewShareLink, now: Timestamp) -> Result<Reply> {
    let view = ShareLinkView::of(&new.link, now);
    let location = format!("/api/v1/sessions/{}/links/{}", view.session_id, view.id);
    let url = resources.browser.public_url.join(&format!("/link#{}", new.secret));
    Reply::created(&location, &NewShareLinkView { url, view })
}

pub(crate) static LINK_VIEW: OperationDoc = OperationDoc::new(
    DocTag::Pairing,
    "View a share link",
    "Without its URL.",
    ResponseDoc::new(200, "The link.", &[Content::Json(Shape::of::<ShareLinkView>())]),
);

pub(crate) async fn view(cx: OperationContext) -> Result<Reply> {
    let links = &cx.resources.links;
    let link = links.view(cx.caller()?, cx.path("session"), cx.path("link")).await?;
    Reply::ok(&ShareLinkView::of(&link, cx.resources.environment.now()))
}

pub(crate) static LINK_REVOKE: OperationDoc = OperationDoc::new(
    DocTag::Pairing,
    "Revoke a share link",
    "A link that has ended or expired is not found. A pairing attempt that the holder began goes on until \
     its codes expire or the session is stopped. Links have no entity tag, so that an `If-Match` other than \
     `*` never matches.",
    ResponseDoc::new(204, "The link is revoked.", &[]),
);

pub(crate) async fn revoke(cx: OperationContext) -> Result<Reply> {
    let (caller, session, id) = (cx.caller()?, cx.path("session"), cx.path("link"));
    if let IfMatch::OneOf(_) = cx.if_match() {
        // Links have no entity tags, so that no tag matches.
        cx.resources.links.view(caller, session, id).await?;
        return Err(Error::PreconditionFailed.into());
    }
    cx.resources.links.revoke(caller, session, id).await?;
    Ok(Reply::no_content())
}

static PAIRED_ALREADY: Failure =
    Failure::new("PairedAlready", "`conflict`: a phone is linked already.", || {
        Error::conflict("the session is paired; log it out to pair it again").into()
    });

static TOO_MANY_LINKS: Failure =
    Failure::new("TooManyLinks", "`conflict`: the session has five open links.", || {
        Error::conflict(
            "the session has as many open links as it may have; revoke one of them first",
        )
        .into()
    });
