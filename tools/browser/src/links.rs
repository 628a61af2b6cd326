//! Share links: the dialog of the owner, and the page of the person who holds the phone, in
//! browsers with profiles of their own.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{checks::Checks, wait, workspace::Workspace};

use crate::{
    decoder::QrDecoder,
    deployment::Deployment,
    driver::{Browser, HEADING},
    site_server::{Treatment, answer},
};

const DEAD: &str = "This link does not work";

/// The browsers of the owner, of the holder and of a third person.
struct Holders<'a> {
    deployment: &'a Deployment,
    owner: Browser,
    holder: Browser,
    third: Browser,
    decoder: QrDecoder,
    pictures: PathBuf,
}

type LinkCase = fn(&Holders<'_>) -> Result<()>;

/// Checks the links. The full size waits for the expiry of a link.
pub(crate) fn check(
    workspace: &Workspace,
    deployment: &Deployment,
    is_full: bool,
    checks: &mut Checks,
) {
    let mut browsers = None;
    checks.check("links: three browsers start", || {
        let anonymous = |name| deployment.anonymous_browser(name);
        browsers = Some(Holders {
            deployment,
            owner: deployment.browser("owner")?,
            holder: anonymous("holder")?,
            third: anonymous("third")?,
            decoder: QrDecoder::load(workspace)?,
            pictures: workspace.scratch("pictures")?,
        });
        Ok(())
    });
    let Some(browsers) = browsers else { return };
    let cases: [(&str, LinkCase); 8] = [
        ("a holder scans the code of a link from the dashboard", link_from_the_dashboard),
        ("a holder types a code, and the browser returns", link_by_pairing_code),
        ("a link in another browser is a link that never was", second_browser_finds_nothing),
        ("a link ends after three attempts", three_attempts),
        ("a revoked link ends on the open page", revocation_reaches_the_page),
        ("a page does not continue with the link of another tab", links_do_not_mix),
        ("a link outlives a berth that does not answer", refused_opening_keeps_the_secret),
        ("an open page says when the link expires", expiry_reaches_the_page),
    ];
    for (name, case) in cases.into_iter().take(if is_full { 8 } else { 7 }) {
        checks.check(&format!("links: {name}"), || {
            case(&browsers)?;
            for browser in [&browsers.owner, &browsers.holder, &browsers.third] {
                let console = browser.console()?;
                ensure!(console.is_empty(), "the console has {console:?}");
            }
            Ok(())
        });
    }
}

impl Holders<'_> {
    /// Creates a link by the API, and returns the session and the path of the link's page.
    fn link(&self, spec: &Value) -> Result<(String, String)> {
        let session = self.deployment.session("Shared")?;
        let path = format!("/api/v1/sessions/{session}/links");
        let made = self.deployment.api.post(&path, spec)?.expect(201)?.json();
        let url = made["url"].as_str().context("a link has a URL")?;
        let page = url.strip_prefix(&self.deployment.origin()).context("another origin")?;
        Ok((session, page.to_owned()))
    }

    /// Reads the QR code from a picture of the holder's window, as a camera does.
    fn photographed_code(&self) -> Result<String> {
        let picture = self.pictures.join("scanned.png");
        wait::until("a decoder reads the code", Duration::from_secs(20), || {
            self.holder.photograph(&picture)?;
            self.decoder.read(&picture)
        })
    }
}

fn link_from_the_dashboard(browsers: &Holders<'_>) -> Result<()> {
    let Holders { deployment, owner, holder, .. } = browsers;
    let (session, phone) =
        (deployment.session("For a customer")?, deployment.stack.phones.new_phone("Customer")?);
    owner.open(&format!("/ui/sessions/{session}"))?;
    owner.press("Share a link")?;
    owner.wait("document.querySelector('dialog input[name=title]')")?;
    owner.replace("dialog input[name=title]", "Harbour Hotel")?;
    owner.press("Make a link")?;
    let url = owner.wait("document.querySelector('.secret code')?.textContent")?;
    let url = url.as_str().context("a URL is text")?;
    let (page, secret) = url.split_once('#').context("the secret is in the fragment")?;
    ensure!(page == format!("{}/link", deployment.origin()), "the link is {url}");

    // Messengers and mail filters fetch a URL before a person opens it.
    for method in ["HEAD", "GET"] {
        let robot = deployment.stack.api.send(method, "/link", &[("User-Agent", "bot")], None)?;
        ensure!(robot.status == 200 && robot.header("set-cookie").is_none(), "{method}");
    }
    holder.open(&format!("/link#{secret}"))?;
    holder.wait("document.querySelector('.qr img')?.complete")?;
    ensure!(holder.run("return location.hash", &[])? == "", "the secret stays in the address");
    let text = holder.text(".notice")?;
    ensure!(text.contains("Harbour Hotel"), "the page does not say who asks: {text}");
    owner.wait("document.querySelector('dialog .badge')?.textContent === 'Opened'")?;
    phone.scan(&browsers.photographed_code()?)?;
    holder.wait("document.querySelector('.ending.good')")?;
    // A reload shows the end, and no error.
    holder.open("/link")?;
    holder.wait("document.querySelector('.ending.good')")?;
    let number = format!("+{}", phone.number);
    let shown = format!("document.querySelector('.facts').textContent.includes('{number}')");
    owner.wait(&shown)?;
    owner.wait("document.querySelector('dialog .badge')?.textContent === 'Used'")?;
    Ok(())
}

fn link_by_pairing_code(browsers: &Holders<'_>) -> Result<()> {
    let Holders { deployment, holder, .. } = browsers;
    let phone = deployment.stack.phones.new_phone("Typist")?;
    let back = format!("{}/thanks?order=7", deployment.second.origin());
    let spec = json!({ "title": "Acme", "phone": phone.number, "returnUrl": back });
    let (session, page) = browsers.link(&spec)?;
    holder.open(&page)?;
    holder.press("Pairing code")?;
    let number = holder.run("return document.querySelector('input[type=tel]').value", &[])?;
    ensure!(number == format!("+{}", phone.number), "the field has {number}");
    holder.press("Get a code")?;
    let code = holder.wait("document.querySelector('.code output')?.textContent")?;
    let (first, second) =
        code.as_str().and_then(|code| code.split_at_checked(4)).context("two groups")?;
    phone.enter_code(&format!("{first}-{second}"))?;
    holder.wait("document.querySelector('.ending.good')")?;
    ensure!(deployment.view(&session)?["phoneNumber"] == phone.number, "another number");
    holder.click(".ending a.button")?;
    let at = holder.wait("location.pathname === '/thanks' && location.href")?;
    let at = at.as_str().unwrap_or_default();
    let parameters = at.strip_prefix(&back).context("another page")?;
    ensure!(
        parameters.starts_with("&link=lnk_") && parameters.ends_with("&outcome=linked"),
        "the browser returns to {at}"
    );
    Ok(())
}

fn second_browser_finds_nothing(browsers: &Holders<'_>) -> Result<()> {
    let (_, page) = browsers.link(&json!({ "title": "Secret title" }))?;
    browsers.holder.open(&page)?;
    browsers.holder.wait("document.querySelector('.qr img')?.complete")?;
    let mut shown = Vec::new();
    for page in [page.as_str(), "/link#lnk_unknown", "/link"] {
        browsers.third.open(page)?;
        browsers.third.wait(&format!("document.querySelector('h2')?.textContent === '{DEAD}'"))?;
        shown.push(browsers.third.run("return document.querySelector('main').innerHTML", &[])?);
    }
    ensure!(shown[0] == shown[1] && shown[0] == shown[2], "{shown:#?} differ");
    Ok(())
}

fn three_attempts(browsers: &Holders<'_>) -> Result<()> {
    let (session, page) = browsers.link(&json!({}))?;
    browsers.holder.open(&page)?;
    for left in ["2", "1"] {
        browsers.holder.wait("document.querySelector('.qr img')?.complete")?;
        browsers.deployment.stop(&session)?;
        browsers.holder.wait("document.querySelector('.ending')")?;
        let text = browsers.holder.text(".ending")?;
        ensure!(text.contains(&format!("attempts left: \u{2068}{left}\u{2069}")), "{text}");
        browsers.holder.press("Begin again")?;
    }
    browsers.holder.wait("document.querySelector('.qr img')?.complete")?;
    browsers.deployment.stop(&session)?;
    browsers.holder.wait(
        "document.querySelector('h2')?.textContent === 'The attempts of this link are used up'",
    )?;
    Ok(())
}

fn revocation_reaches_the_page(browsers: &Holders<'_>) -> Result<()> {
    let (session, page) = browsers.link(&json!({}))?;
    browsers.holder.open(&page)?;
    browsers.holder.wait("document.querySelector('.qr img')?.complete")?;
    browsers.owner.open(&format!("/ui/sessions/{session}"))?;
    browsers.owner.press("Share a link")?;
    browsers.owner.press("Revoke")?;
    browsers.holder.wait(&format!("document.querySelector('h2')?.textContent === '{DEAD}'"))?;
    browsers.owner.wait("document.querySelector('dialog .badge')?.textContent === 'Revoked'")?;
    browsers.deployment.stop(&session)
}

fn links_do_not_mix(browsers: &Holders<'_>) -> Result<()> {
    let (first, page) = browsers.link(&json!({ "title": "First" }))?;
    let (second, other) = browsers.link(&json!({ "title": "Second" }))?;
    let holder = &browsers.holder;
    holder.open(&page)?;
    holder.wait("document.querySelector('.qr img')?.complete")?;
    let tab = holder.tab()?;
    let new = holder.new_tab()?;
    holder.open(&other)?;
    holder.wait("document.querySelector('.notice')?.textContent.includes('Second')")?;
    holder.switch_to(&tab)?;
    // The browser has one cookie: the first page must not show codes of the second session.
    browsers.deployment.stop(&first)?;
    holder.wait(&format!("document.querySelector('h2')?.textContent === '{DEAD}'"))?;
    holder.close_tab_and_switch_to(&new)?;
    browsers.deployment.stop(&second)
}

fn refused_opening_keeps_the_secret(browsers: &Holders<'_>) -> Result<()> {
    let (session, page) = browsers.link(&json!({}))?;
    let (proxy, holder) = (&browsers.deployment.proxy, &browsers.holder);
    let refusal = answer("502 Bad Gateway", "text/html", "", "<h1>Bad Gateway</h1>");
    proxy.treat("POST /link/session", Treatment::Answered(refusal));
    let opened = holder.open(&page).and_then(|()| {
        holder.wait("document.querySelector('.ending.bad')?.textContent.includes('502')")
    });
    proxy.treat_none();
    opened?;
    holder.press("Try again")?;
    holder.wait("document.querySelector('.qr img')?.complete")?;
    ensure!(holder.run("return location.hash", &[])? == "", "the secret stays in the address");
    browsers.deployment.stop(&session)
}

fn expiry_reaches_the_page(browsers: &Holders<'_>) -> Result<()> {
    let (session, page) = browsers.link(&json!({ "expiresIn": 60 }))?;
    browsers.holder.open(&page)?;
    browsers.holder.wait("document.querySelector('.qr img')?.complete")?;
    wait::until_true("the page says that the link expired", Duration::from_secs(100), || {
        Ok(browsers.holder.run(HEADING, &[])? == DEAD)
    })?;
    browsers.third.open(&page)?;
    browsers.third.wait(&format!("document.querySelector('h2')?.textContent === '{DEAD}'"))?;
    browsers.deployment.stop(&session)
}
