//! An unread log: standard error is a pipe, and the pipe is full.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::berth::{Folder, signal, until};

/// Requests in the test. Each logs a line, and the pipe and all buffers are full long before the
/// last.
const REQUESTS: usize = 8_000;
/// Requests in one write.
const BATCH: usize = 500;

struct KilledOnDrop(Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn connect(ready: &Value, listener: &str) -> TcpStream {
    let stream = TcpStream::connect(ready[listener].as_str().unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

#[test]
fn unread_log_blocks_neither_requests_nor_the_end() {
    let folder = Folder::new();
    let child = folder.serve_command().stderr(Stdio::piped()).spawn().unwrap();
    let mut berth = KilledOnDrop(child);
    // Not dropped, so that the pipe stays open. The log is not read from here on.
    let mut log = BufReader::new(berth.0.stderr.take().unwrap()).lines();
    let ready = log
        .by_ref()
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap())
        .find(|line| line["message"] == "berth is ready")
        .unwrap();

    let mut stream = connect(&ready, "listen");
    let requests = "GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n".repeat(BATCH);
    for _ in 0..REQUESTS / BATCH {
        stream.write_all(requests.as_bytes()).unwrap();
        let (mut answers, mut part) = (String::new(), vec![0; 64 * 1024]);
        while answers.matches("\"message\":\"no such endpoint\"}}").count() < BATCH {
            let count = stream.read(&mut part).unwrap();
            assert_ne!(count, 0, "the connection ended");
            answers.push_str(std::str::from_utf8(&part[..count]).unwrap());
        }
    }
    let mut operators = connect(&ready, "ops_listen");
    operators.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut metrics = String::new();
    operators.read_to_string(&mut metrics).unwrap();
    let dropped =
        metrics.lines().find_map(|line| line.strip_prefix("berth_log_lines_dropped_total "));
    assert!(dropped.unwrap().parse::<u64>().unwrap() > 0, "{dropped:?}");

    signal(berth.0.id(), "TERM");
    let ended = until(|| berth.0.try_wait().unwrap()).expect("berth did not end");
    assert!(ended.success(), "{ended}");
    drop(log);
}
