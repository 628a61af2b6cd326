//! The pictures of the README, of an organization with ordinary names.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use crate::{deployment::Deployment, driver::Viewport};

const VIEWPORT: Viewport = Viewport { width: 1120, height: 620, dark: false };
const LINKED: [(&str, &str); 4] = [
    ("Night line", "Harbour Hotel"),
    ("Deliveries", "Harbour Kitchen"),
    ("Reservations", "Harbour Hotel"),
    ("Front desk", "Harbour Hotel"),
];
const UNLINKED: [&str; 3] = ["Spa", "Conference rooms", "Airport shuttle"];

/// Writes the list of sessions and the dialog that links a phone.
///
/// # Errors
/// When the pages do not show the sessions.
pub(crate) fn take(deployment: &Deployment, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for label in UNLINKED {
        deployment.session(label)?;
    }
    let mut last = None;
    for (label, account) in LINKED {
        let (session, _) = deployment.linked(label, account)?;
        last.get_or_insert(session);
    }
    let stopped = last.context("a session is linked")?;
    deployment.api.action(&format!("/api/v1/sessions/{stopped}:stop"))?.expect(200)?;
    let browser = deployment.browser("pictures")?;
    browser.resize(VIEWPORT)?;
    browser.open("/ui/sessions")?;
    browser.wait("document.querySelectorAll('.badge.working').length === 3")?;
    browser.photograph(&folder.join("sessions.png"))?;
    browser.press("Link a phone")?;
    browser.wait("document.querySelector('.qr img')?.complete")?;
    browser.photograph(&folder.join("linking.png"))
}
