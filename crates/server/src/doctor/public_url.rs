//! Checks of the public URL, through the proxy in front.

use hyper::{Request, header, http::request::Builder};
use self_check::Report;
use serde_json::Value;

use super::requests::send;

const CHECK: &str = "public_url";

/// Asks the public URL for operations whose refusals show what the proxy passes on.
pub(super) async fn check(report: &mut Report, origin: &str) {
    let url = format!("{origin}/auth/options");
    match send(Request::get(&url), "").await {
        Ok((200, body)) => {
            let options: Value = serde_json::from_slice(&body).unwrap_or_default();
            match options["publicUrl"].as_str() {
                Some(theirs) if theirs == origin => {
                    report.ok(CHECK, format!("{origin} leads to berth"));
                    headers(report, origin).await;
                }
                Some(theirs) => report.fault(
                    CHECK,
                    format!("the berth at {origin} has the public URL {theirs}; restart it with these settings"),
                ),
                None => report.fault(CHECK, format!("{url} is no page of berth; check the proxy in front")),
            }
        }
        Ok((status, _)) => report.fault(
            CHECK,
            format!("{url} answers {status} instead of berth's 200; check the proxy in front"),
        ),
        Err(error) => report.warn(
            CHECK,
            format!("{error}; berth does not run, or this machine cannot reach its own public URL"),
        ),
    }
}

/// Sends logins without a credential. berth refuses their bodies when it knows them for requests of its own
/// pages, and otherwise the requests.
async fn headers(report: &mut Report, origin: &str) {
    let login = || {
        let request = Request::post(format!("{origin}/auth/session"));
        request.header(header::CONTENT_TYPE, "application/json")
    };
    let ways = [
        ("Sec-Fetch-Site", login().header("Sec-Fetch-Site", "same-origin")),
        ("Origin", login().header(header::ORIGIN, origin)),
    ];
    for (name, request) in ways {
        passes(report, name, request).await;
    }
}

async fn passes(report: &mut Report, name: &str, request: Builder) {
    match send(request, "{}").await {
        Ok((400, _)) => report.ok(CHECK, format!("the header {name} reaches berth")),
        Ok((401, _)) => report.fault(
            CHECK,
            format!("the header {name} does not reach berth: the proxy in front removes or changes the header, and browsers cannot log in"),
        ),
        Ok((status, _)) => {
            report.warn(CHECK, format!("a login with the header {name} answers {status}"));
        }
        Err(error) => report.warn(CHECK, error),
    }
}
