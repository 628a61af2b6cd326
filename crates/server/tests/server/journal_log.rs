//! Log lines of the program when standard error is the journal of systemd.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    os::{fd::OwnedFd, unix::fs::MetadataExt as _, unix::net::UnixStream},
    process::{Command, Stdio},
};

use crate::berth::Folder;

/// Runs a command with a socket as its standard error, whose device and inode the variable names with an
/// inode that differs by `offset`. Returns the lines until `is_last`.
fn lines(mut command: Command, offset: u64, is_last: impl Fn(&str) -> bool) -> Vec<String> {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let theirs = OwnedFd::from(theirs);
    let metadata = File::from(theirs.try_clone().unwrap()).metadata().unwrap();
    let stream = format!("{}:{}", metadata.dev(), metadata.ino() + offset);
    command.env("JOURNAL_STREAM", stream).stderr(Stdio::from(theirs));
    let mut child = command.spawn().unwrap();
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

fn is_ready(line: &str) -> bool {
    line.contains("berth is ready")
}

#[test]
fn lines_have_priorities_when_standard_error_is_the_journal() {
    let serve = |format| {
        let folder = Folder::new();
        let mut command = folder.serve_command();
        command.env("BERTH_LOG_FORMAT", format);
        (folder, command)
    };
    let (_folder, command) = serve("text");
    let journal = lines(command, 0, is_ready);
    assert!(journal.last().unwrap().starts_with("<6>2"), "{journal:?}");
    let error = journal.iter().find(|line| line.contains("there is no gateway program")).unwrap();
    assert!(error.starts_with("<3>2"), "{error}");
    assert!(journal.iter().all(|line| line.starts_with('<')), "{journal:?}");

    let (_folder, command) = serve("text");
    let elsewhere = lines(command, 1, is_ready);
    assert!(elsewhere.iter().all(|line| line.starts_with('2')), "{elsewhere:?}");

    let (_folder, command) = serve("json");
    let json = lines(command, 0, is_ready);
    assert!(json.iter().all(|line| line.starts_with('{')), "{json:?}");
}

#[test]
fn error_that_ends_the_program_has_a_priority() {
    let folder = Folder::new();
    let mut command = folder.serve_command();
    command.env("BERTH_DATABASE_URL", "nothing:");
    let all = lines(command, 0, |_| false);
    assert!(all.last().unwrap().starts_with("<3>berth: "), "{all:?}");
}
