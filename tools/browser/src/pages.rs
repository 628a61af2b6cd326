//! Every screen in both colour schemes and two widths: a picture of it, the accessibility rules, no
//! message on the console, and no element wider than the window.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use testbed::{checks::Checks, issuer::Token, workspace::Workspace};

use crate::{
    axe::Axe,
    deployment::Deployment,
    driver::{Browser, DESKTOP, Viewport},
    screens::{Screen, Viewer, prepare},
};

const SIZES: [(u32, u32); 2] = [(1280, 900), (360, 780)];
const ALL: [Viewport; 4] = [window(0, false), window(0, true), window(1, false), window(1, true)];
/// The languages of the pages besides English.
const LANGUAGES: [&str; 3] = ["pt-BR", "es", "id"];

/// Returns a window of the size with this index.
const fn window(size: usize, dark: bool) -> Viewport {
    let (width, height) = SIZES[size];
    Viewport { width, height, dark }
}

/// The browsers of all viewers, and what their pages are checked with.
struct ScreenChecks {
    member: Browser,
    operator: Browser,
    nobody: Browser,
    axe: Axe,
    pictures: PathBuf,
}

/// Fills the organization and checks all pages: in two windows, or at the full size in every window
/// and every language.
pub(crate) fn check(
    workspace: &Workspace,
    deployment: &Deployment,
    is_full: bool,
    checks: &mut Checks,
) {
    let mut prepared = None;
    checks.check("pages: an organization with hostile names is prepared", || {
        let screens = prepare(deployment)?;
        let operator = Token::of("acme", "none").with("org_id", json!(null));
        let operator = operator.with("platform_role", json!("super_admin")).sign();
        let shown = ScreenChecks {
            member: deployment.browser("pages")?,
            operator: deployment.browser_with("operator", &operator)?,
            nobody: deployment.anonymous_browser("nobody")?,
            axe: Axe::load(workspace)?,
            pictures: workspace.scratch("pictures")?,
        };
        prepared = Some((screens, shown));
        Ok(())
    });
    let Some((screens, shown)) = prepared else { return };
    for (index, screen) in screens.iter().enumerate() {
        // Light and dark change places from screen to screen.
        let few = [window(0, index % 2 == 1), window(1, index % 2 == 0)];
        let windows = if is_full { &ALL[..] } else { &few };
        checks.check(&format!("pages: {}", screen.name), || {
            shown.check(deployment, screen, windows, "")
        });
    }
    checks.check("pages: the menu of a narrow window", || shown.check_navigation());
    checks.check("pages: a session of another organization is a missing page", || {
        foreign_is_missing(deployment, &shown.member)
    });
    for language in LANGUAGES.into_iter().filter(|_| is_full) {
        for screen in screens.iter().filter(|it| it.viewer == Viewer::Member && it.steps.is_empty())
        {
            checks.check(&format!("pages: {}, {language}", screen.name), || {
                let choice = "localStorage.setItem('berth.language', arguments[0])";
                shown.member.run(choice, &[json!(language)])?;
                shown.check(deployment, screen, &ALL, &format!("-{language}"))
            });
        }
    }
}

impl ScreenChecks {
    /// Shows a screen, and checks it in each window.
    fn check(
        &self,
        deployment: &Deployment,
        screen: &Screen,
        windows: &[Viewport],
        suffix: &str,
    ) -> Result<()> {
        let browser = match screen.viewer {
            Viewer::Member => &self.member,
            Viewer::Operator => &self.operator,
            Viewer::Nobody => &self.nobody,
        };
        browser.resize(DESKTOP)?;
        screen.show(deployment, browser)?;
        for viewport in windows {
            let scheme = if viewport.dark { "dark" } else { "light" };
            let picture = format!("{}{suffix}-{scheme}-{}.png", screen.name, viewport.width);
            self.check_window(browser, *viewport, &self.pictures.join(picture))
                .with_context(|| format!("{} {viewport:?}", screen.path))?;
        }
        Ok(())
    }

    fn check_window(&self, browser: &Browser, viewport: Viewport, picture: &Path) -> Result<()> {
        browser.resize(viewport)?;
        browser.photograph(picture)?;
        self.axe.check(browser)?;
        let wide = browser.run(
            "const all = [document.documentElement, ...document.querySelectorAll('dialog')]; \
             return all.map((it) => it.scrollWidth - it.clientWidth)",
            &[],
        )?;
        let wide: Vec<i64> = serde_json::from_value(wide)?;
        ensure!(wide.iter().all(|excess| *excess <= 0), "wider than the window by {wide:?} pixels");
        let owned = browser.run(
            "return document.title === 'owned' || document.querySelectorAll('body img[src=x], body script, body svg').length > 0",
            &[],
        )?;
        ensure!(owned == false, "hostile text became markup");
        let console = browser.console()?;
        ensure!(console.is_empty(), "the console has {console:?}");
        Ok(())
    }

    fn check_navigation(&self) -> Result<()> {
        let browser = &self.member;
        browser.resize(window(1, false))?;
        browser.open("/ui/keys")?;
        browser.wait("document.querySelector('tbody tr:not(.skeleton)')")?;
        browser.click(".burger")?;
        for viewport in &ALL[2..] {
            let scheme = if viewport.dark { "dark" } else { "light" };
            let picture = format!("navigation-{scheme}-{}.png", viewport.width);
            self.check_window(browser, *viewport, &self.pictures.join(picture))?;
        }
        browser.click("aside a[href='/ui/audit']")?;
        browser.wait("document.querySelector('h1')?.textContent === 'Audit log'")?;
        let covered = browser.run("return document.body.classList.contains('nav-open')", &[])?;
        ensure!(covered == false, "the navigation covers the page");
        Ok(())
    }
}

/// Opens a session of another organization, and compares with a session that never existed.
fn foreign_is_missing(deployment: &Deployment, browser: &Browser) -> Result<()> {
    let other = deployment.stack.api.with_credential(Some(deployment.other_key.clone()));
    let spec = json!({ "label": "secret of zeta" });
    let made = other.post("/api/v1/sessions", &spec)?.expect(201)?.json();
    let foreign = made["id"].as_str().context("a session has an id")?;
    let missing = "sess_01JGXS1DN00000000000000001";
    for page in ["/ui/sessions/{id}", "/ui/chats/{id}", "/ui/chats/{id}/1"] {
        let mut texts = Vec::new();
        for id in [foreign, missing] {
            browser.open(&page.replace("{id}", id))?;
            browser.wait("document.querySelector('h1')?.textContent === 'This does not exist'")?;
            browser.wait("document.querySelector('.live.live')")?;
            let shown = browser.run("return document.documentElement.outerHTML", &[])?;
            texts.push(shown.as_str().unwrap_or_default().replace(id, "ID"));
        }
        ensure!(texts[0] == texts[1], "{page}: {texts:?} differ");
    }
    Ok(())
}
