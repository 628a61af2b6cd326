//! A log that nobody reads: standard error is a pipe, and the pipe is full.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::berth::{Folder, signal, until};

/// Each leaves a line. The pipe, the buffers and what may wait are full long before the last of them.
const REQUESTS: usize = 8_000;
const AT_ONCE: usize = 500;

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended already.
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
fn log_that_nobody_reads_holds_up_neither_requests_nor_the_end() {
    let folder = Folder::new();
    let child = folder.serve_command().stderr(Stdio::piped()).spawn().unwrap();
    let mut berth = Killed(child);
    // Kept, so that the pipe is not closed; from here on it is not read.
    let mut log = BufReader::new(berth.0.stderr.take().unwrap()).lines();
    let ready = log
        .by_ref()
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap())
        .find(|line| line["message"] == "berth is ready")
        .unwrap();

    let mut stream = connect(&ready, "listen");
    let asked = "GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n".repeat(AT_ONCE);
    for _ in 0..REQUESTS / AT_ONCE {
        stream.write_all(asked.as_bytes()).unwrap();
        let (mut answers, mut part) = (String::new(), vec![0; 64 * 1024]);
        while answers.matches("\"message\":\"no such endpoint\"}}").count() < AT_ONCE {
            let count = stream.read(&mut part).unwrap();
            assert_ne!(count, 0, "it hung up");
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
    let ended = until(|| berth.0.try_wait().unwrap()).expect("it ends");
    assert!(ended.success(), "{ended}");
    drop(log);
}
