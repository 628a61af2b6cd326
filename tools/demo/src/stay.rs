//! Keeps everything running after the life of the session.

use std::{thread, time::Duration};

use anyhow::{Result, bail};
use testbed::{
    client::{Api, Credential},
    phones::Phone,
    sessions::{SESSIONS, path_of},
};

/// Interval in which the phone looks for QR codes.
const POLL: Duration = Duration::from_secs(1);

/// Keeps everything running; the phone links every session that shows a QR code.
pub(crate) fn run(api: &Api, key: &Credential, phone: &Phone) -> Result<()> {
    println!(
        "\nEverything runs until Ctrl-C. The phone +{} links every session that shows a QR code.\n\n  \
         KEY={}\n  curl -X POST {base}{SESSIONS} -H \"X-Api-Key: $KEY\" \
         -H 'Content-Type: application/json' -d '{{\"start\":true}}'\n  \
         curl {base}{SESSIONS} -H \"X-Api-Key: $KEY\"\n",
        phone.number,
        key.text(),
        base = api.base(),
    );
    loop {
        thread::sleep(POLL);
        let waiting = testbed::sessions::list(api)?;
        for session in waiting.iter().filter(|session| session["status"] == "scan_qr_code") {
            let Some(id) = session["id"].as_str() else { bail!("a session without an id") };
            let shown = api.get(&path_of(id, "/qr?wait=0"))?;
            if let Some(code) = shown.json()["code"].as_str() {
                let scanned = phone.scan(code);
                println!("the phone scans {id}: {}", scanned.map_or("not yet", |_| "linked"));
            }
        }
    }
}
