//! Log lines of the program when standard error is the journal of systemd.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    os::{fd::OwnedFd, unix::fs::MetadataExt as _, unix::net::UnixStream},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::program::{nowhere, program};

/// Runs a command with a socket as its standard error, whose device and inode the variable names with an
/// inode that differs by `offset`. Returns the lines until `is_last`.
fn lines(mut command: Command, offset: u64, is_last: impl Fn(&str) -> bool) -> Vec<String> {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let theirs = OwnedFd::from(theirs);
    let metadata = File::from(theirs.try_clone().unwrap()).metadata().unwrap();
    let stream = format!("{}:{}", metadata.dev(), metadata.ino() + offset);
    let mut child =
        command.env("JOURNAL_STREAM", stream).stderr(Stdio::from(theirs)).spawn().unwrap();
    drop(command); // holds the other end of the socket
    let mut all = Vec::new();
    for line in BufReader::new(ours).lines() {
        all.push(line.unwrap());
        if is_last(all.last().unwrap()) {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    all
}

fn is_warning(line: &str) -> bool {
    line.contains("registration failed; retrying")
}

#[test]
fn lines_have_priorities_when_standard_error_is_the_journal() {
    let data = TempDir::new().unwrap();
    let node = || program(data.path(), "http://127.0.0.1:9", nowhere());
    let journal = lines(node(), 0, is_warning);
    let info = journal.iter().find(|line| line.contains("listening")).unwrap();
    assert!(info.starts_with("<6>2"), "{info}");
    assert!(journal.last().unwrap().starts_with("<4>2"), "{journal:?}");
    assert!(journal.iter().all(|line| line.starts_with('<')), "{journal:?}");

    let elsewhere = lines(node(), 1, is_warning);
    assert!(elsewhere.iter().all(|line| line.starts_with('2')), "{elsewhere:?}");
}

#[test]
fn json_lines_have_no_priorities() {
    let data = TempDir::new().unwrap();
    let mut node = program(data.path(), "http://127.0.0.1:9", nowhere());
    node.env("BERTH_LOG_FORMAT", "json");
    let all = lines(node, 0, is_warning);
    assert!(all.iter().all(|line| line.starts_with('{')), "{all:?}");
}

#[test]
fn errors_before_and_after_the_start_of_the_log_have_priorities() {
    let data = TempDir::new().unwrap();
    let mut refused = program(data.path(), "http://127.0.0.1:9", nowhere());
    refused.env("BERTH_LOG_FILE", "no-such-file");
    let all = lines(refused, 0, |_| false);
    assert!(all.len() == 1 && all[0].starts_with("<3>berth-gateway: "), "{all:?}");

    let mut failed = program(data.path(), "http://127.0.0.1:9", nowhere());
    failed.env_remove("BERTH_NODE_TOKEN");
    let all = lines(failed, 0, |_| false);
    let error = all.last().unwrap();
    assert!(error.starts_with("<3>2") && error.contains("node failed"), "{all:?}");
}
