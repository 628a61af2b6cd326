//! A berth process for one test: its folder, its log, and requests to it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// The time that a test waits for a state before it fails.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The folder with all files of a test's berth.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Returns the sorted names of the entries.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Returns a command that runs berth on this folder's database, with a clean environment and
    /// without a gateway program.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("BERTH_DATABASE_URL", format!("sqlite:{}", self.path("berth.db").display()))
            .env("BERTH_GATEWAY_BIN", self.path("no-gateway"))
            .env("BERTH_GATEWAY_DATA", self.path("keys"))
            .current_dir(self.0.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Creates a key and returns its text.
    pub(crate) fn key(&self, organization: &str, more: &[&str]) -> String {
        let mut arguments = vec!["key", "create", "--org", organization, "--name", "test"];
        arguments.extend(["--capability", "manage"]);
        arguments.extend(more);
        let made = self.run(&arguments);
        assert!(made.status.success(), "{}", text(&made.stderr));
        text(&made.stdout).trim_end().to_owned()
    }

    /// Starts `berth serve` on free ports.
    pub(crate) fn serve(&self) -> Berth {
        self.serve_with(&[])
    }

    /// Starts `berth serve` with further variables.
    pub(crate) fn serve_with(&self, variables: &[(&str, &str)]) -> Berth {
        let mut command = self.serve_command();
        command.envs(variables.iter().copied());
        Berth::start(command)
    }

    /// Returns the command of `berth serve` on free ports.
    pub(crate) fn serve_command(&self) -> Command {
        let mut command = self.command(&["serve"]);
        command
            .env("BERTH_LISTEN", "127.0.0.1:0")
            .env("BERTH_NODE_LISTEN", "127.0.0.1:0")
            .env("BERTH_OPS_LISTEN", "127.0.0.1:0")
            .env("BERTH_LOG_FORMAT", "json");
        command
    }
}

/// A serving berth; dropping it kills the process.
pub(crate) struct Berth {
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
    ready: Value,
}

impl Berth {
    /// Starts a command with a JSON log and waits until berth is ready.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let (log, lines) = (Arc::default(), BufReader::new(child.stderr.take().unwrap()).lines());
        let mut this = Self { child, log, ready: Value::Null };
        let log = this.log.clone();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // Lines that are not JSON come from a child with the same standard error.
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                log.lock().unwrap().push(line);
            }
        });
        this.ready = this.logged("berth is ready");
        this
    }

    /// Waits for a log line with this message.
    pub(crate) fn logged(&self, message: &str) -> Value {
        let find = || {
            let log = self.log.lock().unwrap();
            log.iter().find(|line| has_message(line, message)).cloned()
        };
        until(find)
            .unwrap_or_else(|| panic!("not logged: {message:?}: {:#?}", self.log.lock().unwrap()))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the address of a listener from the log line `berth is ready`.
    pub(crate) fn address(&self, name: &str) -> String {
        self.ready[name].as_str().unwrap().to_owned()
    }

    /// Sends a GET request to a listener.
    pub(crate) fn get(&self, listener: &str, path: &str, key: Option<&str>) -> Answer {
        self.ask(listener, "GET", path, key)
    }

    pub(crate) fn ask(
        &self,
        listener: &str,
        method: &str,
        path: &str,
        key: Option<&str>,
    ) -> Answer {
        let key = key.map(|key| format!("x-api-key: {key}\r\n")).unwrap_or_default();
        self.exchange(listener, &format!("{method} {path}"), &key, "")
    }

    /// Sends a POST with a JSON body to a listener.
    pub(crate) fn post(&self, listener: &str, path: &str, key: &str, body: &str) -> Answer {
        let headers = format!("x-api-key: {key}\r\ncontent-type: application/json\r\n");
        self.exchange(listener, &format!("POST {path}"), &headers, body)
    }

    /// Sends a request, given as method and path, with headers that end with a line break each.
    pub(crate) fn exchange(
        &self,
        listener: &str,
        request: &str,
        headers: &str,
        body: &str,
    ) -> Answer {
        let mut stream = TcpStream::connect(self.address(listener)).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let length = body.len();
        write!(
            stream,
            "{request} HTTP/1.1\r\nhost: berth\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, body: body.to_owned() }
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Waits for the end of the process.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        until(|| self.child.try_wait().unwrap()).expect("the process did not end")
    }
}

impl Drop for Berth {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTP response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

fn has_message(line: &Value, message: &str) -> bool {
    line["message"].as_str().is_some_and(|text| text.contains(message))
}

/// Calls `poll` until it returns a value; returns `None` after [`TIMEOUT`].
pub(crate) fn until<T>(mut poll: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + TIMEOUT;
    while Instant::now() < end {
        if let Some(found) = poll() {
            return Some(found);
        }
        thread::park_timeout(Duration::from_millis(5));
    }
    None
}

pub(crate) fn signal(pid: u32, name: &str) {
    let kill = format!("kill -{name} {pid}");
    let sent = Command::new("/bin/sh").args(["-c", &kill]).status().unwrap();
    assert!(sent.success(), "{kill}");
}

/// Returns true if a process exists and is not a zombie.
pub(crate) fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the name in parentheses.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}
