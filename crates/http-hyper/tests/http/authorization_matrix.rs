//! The status of each operation for each kind of caller, as a file that reviewers read as a diff;
//! and the agreement of table, document and router.

use std::{collections::BTreeSet, fmt::Write, fs};

use http_hyper::api::{Operation, operations};

use crate::{
    caller_kinds::KINDS,
    client::Version,
    operation_calls::{path, ready_for, walk},
    test_server::TestServer,
};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/http/authorization.txt");
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api.md");

const HEAD: &str = "\
# What every kind of caller is told by every operation, about a thing of organization acme: its status.
# Written by the tests: BLESS=1 cargo nextest run -p http-hyper matrix
";

/// Returns the statuses of an operation by kind of caller. Checks that a rejected request changes
/// nothing.
async fn statuses(row: &Operation) -> Vec<u16> {
    let server = TestServer::open().await;
    let mut statuses = Vec::new();
    for kind in &KINDS {
        let (this, other) = (ready_for(&server, row).await, server.linked().await.id);
        let caller = kind.token(&this, other.as_str());
        server.open_link(&caller).await;
        let before = server.fingerprint();
        let answer = walk(&server, Version::One, &caller, row, &this).await;
        if !answer.status.is_success() {
            assert_eq!(server.fingerprint(), before, "{row:?} changed something for {}", kind.name);
        }
        statuses.push(answer.status.as_u16());
    }
    statuses
}

async fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push('\n');
    for kind in &KINDS {
        writeln!(page, "# {:<11}{}", kind.name, kind.about).unwrap();
    }
    write!(page, "\n{:<21}", "operation").unwrap();
    for kind in &KINDS {
        write!(page, " {}", kind.name).unwrap();
    }
    for row in operations() {
        write!(page, "\n{:<21}", row.name).unwrap();
        for (status, kind) in statuses(row).await.into_iter().zip(&KINDS) {
            write!(page, " {status:>width$}", width = kind.name.len()).unwrap();
        }
    }
    page.push('\n');
    page
}

#[tokio::test]
async fn authorization_matrix_is_as_blessed() {
    let now = page().await;
    if std::env::var_os("BLESS").is_some() {
        fs::write(PAGE, &now).unwrap();
    }
    let blessed = fs::read_to_string(PAGE).unwrap_or_default();
    let differing: Vec<_> =
        now.lines().filter(|line| !blessed.lines().any(|known| known == *line)).collect();
    assert!(
        now == blessed,
        "tests/http/authorization.txt is not what the API does now:\n{}\nIf that is meant, run\n  \
         BLESS=1 cargo nextest run -p http-hyper matrix\nand have the diff reviewed.",
        differing.join("\n")
    );
}

/// Returns name, method and path of each operation in the document.
fn documented() -> BTreeSet<(String, String, String)> {
    let text = fs::read_to_string(DOCUMENT).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|line| {
        let (name, rest) = line.split_once("` | `")?;
        let (method, rest) = rest.split_once(" /api/")?;
        let path = rest.split(['`', '?']).next()?;
        Some((name.to_owned(), method.to_owned(), format!("/api/{path}")))
    });
    rows.collect()
}

#[tokio::test]
async fn table_document_and_router_agree() {
    let table: BTreeSet<_> = operations()
        .filter(|row| row.path.starts_with("/api/"))
        .map(|row| (row.name.to_owned(), row.method.to_string(), row.path.to_owned()))
        .collect();
    assert_eq!(documented(), table, "docs/api.md and the table differ");
    let server = TestServer::open().await;
    for row in operations() {
        let options = server.ask("", "OPTIONS", &path(row, "x")).await;
        assert_eq!(options.status, 204, "{row:?}");
        let allowed: Vec<_> = options.header("allow").split(", ").collect();
        assert!(allowed.contains(&row.method.as_str()), "{row:?}: {allowed:?}");
    }
}

#[test]
fn caller_kinds_are_complete_and_distinct() {
    let names: BTreeSet<_> = KINDS.iter().map(|kind| kind.name).collect();
    let tokens: BTreeSet<_> = KINDS.iter().map(|kind| kind.token("this", "other")).collect();
    assert!(names.len() >= 12);
    assert_eq!((names.len(), tokens.len()), (KINDS.len(), KINDS.len()));
}
