//! The program: its output, its service, rejected addresses, and the stop by signals.

use crate::client::{Client, ClientKeys};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whatsapp-sim"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn start() -> (Child, serde_json::Value) {
    let mut child =
        program(&["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.next_line().await.unwrap().unwrap();
    (child, serde_json::from_str(&ready).unwrap())
}

#[tokio::test]
async fn program_serves_until_a_signal() {
    for signal in ["-TERM", "-INT"] {
        let (mut child, ready) = start().await;
        let control = ready["control"].as_str().unwrap().strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(control).await.unwrap();
        let request = b"GET /trust-anchor HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let hex = answer.split('"').nth(3).unwrap();
        let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
        let anchor = std::array::from_fn(byte);

        let (keys, url) = (ClientKeys::new(), ready["socket"].as_str().unwrap());
        let mut client = Client::connect(url, anchor, &keys, keys.registration()).await;
        assert!(!client.refs().await.is_empty());
        let pid = child.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().await.unwrap().success());
        assert!(child.wait().await.unwrap().success());
        assert_eq!(client.wait_for_close().await, None);
    }
}

#[tokio::test]
async fn program_rejects_addresses_outside_loopback() {
    for arguments in [["--listen", "0.0.0.0:0"], ["--control", "[::]:0"]] {
        let all = [&arguments[..], &["--listen", "127.0.0.1:0"][..]].concat();
        let all = if arguments[0] == "--listen" { arguments.to_vec() } else { all };
        let output = program(&all).output().await.unwrap();
        assert!(!output.status.success());
        let output = String::from_utf8(output.stderr).unwrap();
        assert!(output.contains("not a loopback address"), "{output}");
    }
}
