//! Filters on owned tables stand only in this module.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Elsewhere, owned tables are only inserted into; every other statement starts from a fragment
/// in `scope`.
#[test]
fn filters_on_owned_tables_stand_only_in_scope() {
    let mut files = Vec::new();
    collect_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    assert!(files.len() > 40);
    for path in files {
        let name = path.display();
        let text: String =
            fs::read_to_string(&path).expect("a source file").split_whitespace().collect();
        for table in [
            "sessions",
            "retirements",
            "events",
            "api_keys",
            "receipts",
            "usage",
            "link_attempts",
            "feed_floors",
            "data_keys",
            "share_links",
            "browser_sessions",
            "webhooks",
            "webhook_cursors",
            "webhook_retries",
            "webhook_dead_letters",
            "webhook_attempts",
            "session_messaging",
            "chats",
            "chat_names",
            "messages",
            "outbox",
        ] {
            // The name of a table may be the end of another name.
            let is_whole = |(at, _): &(usize, &str)| {
                !text[..*at].ends_with(|it: char| it == '_' || it.is_ascii_alphanumeric())
            };
            let named = format!("{table}::table");
            let all = text.match_indices(&named).filter(is_whole).count();
            let inserts = text.matches(&format!("insert_into({table}::table)")).count()
                + text.matches(&format!("insert_into($crate::schema::{table}::table)")).count();
            assert_eq!(all, inserts, "{name} uses {table} past scope.rs");
            let filtered = format!("{table}::organization.eq");
            assert_eq!(text.match_indices(&filtered).filter(is_whole).count(), 0, "{name}");
        }
    }
}

/// Collects the source files outside of `scope`.
fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the sources").flatten() {
        let path = entry.path();
        if path.ends_with("scope.rs") || path.ends_with("scope") {
            continue;
        }
        if path.is_dir() {
            collect_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
