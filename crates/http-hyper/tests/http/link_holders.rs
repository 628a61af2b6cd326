//! Share links of a test server, and the browsers that hold them: the caller `holder-SESSION` is the
//! browser that opened a link to this session.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    DEFAULT_LINK_LIFE, LinkMethod, NewShareLink, SessionId, ShareLinkSpec, ports::WorkerStore,
    testing::World,
};
use sha2::{Digest as _, Sha256};

use crate::test_server::TestServer;

/// Returns the secret of the browser that holds a link to this session, and its digest.
pub(crate) fn browser_secret(session: &str) -> (String, [u8; 32]) {
    let bytes: [u8; 32] = Sha256::digest(session).into();
    (URL_SAFE_NO_PAD.encode(bytes), Sha256::digest(bytes).into())
}

impl TestServer {
    /// Creates a share link to a session of acme.
    pub(crate) async fn share_link(&self, session: &SessionId) -> NewShareLink {
        let spec = ShareLinkSpec {
            life: DEFAULT_LINK_LIFE,
            methods: LinkMethod::ALL.into(),
            phone: Some("15550000001".to_owned()),
            title: None,
            return_target: None,
        };
        let links = &self.world.links;
        links.create(&World::acme(), session.as_str(), &spec, None).await.unwrap()
    }

    /// Creates a share link and opens it in the browser of this caller, if the caller is the holder of
    /// a link to a session that can have links.
    pub(crate) async fn open_link(&self, caller: &str) {
        let Some(session) = caller.strip_prefix("holder-").and_then(SessionId::parse) else {
            return;
        };
        let Ok(known) = WorkerStore::find(&self.world.memory, &session).await else { return };
        if known.is_none_or(|session| session.is_paired()) {
            return;
        }
        let secret = self.share_link(&session).await.secret;
        let browser = browser_secret(session.as_str()).1;
        self.world.links.open(&secret, None, browser).await.unwrap();
        self.links.lock().unwrap().insert(session.to_string(), secret);
    }

    /// Returns the secret of the link that the caller holds.
    pub(crate) fn link_secret(&self, caller: &str) -> Option<String> {
        let session = caller.strip_prefix("holder-")?;
        self.links.lock().unwrap().get(session).cloned()
    }
}
