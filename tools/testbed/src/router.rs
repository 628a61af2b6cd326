//! A further router over the database of a stack.

use std::{fs, time::Duration};

use anyhow::Result;

use crate::{
    client::{Api, Credential},
    folder::random_hex,
    ports,
    process::Process,
    stack::Stack,
    wait,
};

const READY: Duration = Duration::from_secs(40);

/// A running router without a gateway. Dropping the value stops the router.
#[derive(Debug)]
pub struct Router {
    process: Process,
    api: Api,
    operator: Api,
}

impl Router {
    /// Starts a router with the settings of a stack and waits until the router is ready. The log is
    /// beside the log of the stack, with `name` in its name.
    pub fn start(stack: &Stack, name: &str) -> Result<Self> {
        let (public, node, operator) = (ports::free()?, ports::free()?, ports::free()?);
        let local = |port: u16| format!("127.0.0.1:{port}");
        let mut command = stack.command();
        command
            .env_remove("BERTH_GATEWAY_BIN")
            .env("BERTH_LISTEN", local(public))
            .env("BERTH_NODE_LISTEN", local(node))
            .env("BERTH_OPS_LISTEN", local(operator))
            // With tokens of remote gateways, a router starts no gateway of its own.
            .env("BERTH_NODE_TOKENS", format!("none={}", random_hex(20)?))
            .arg("serve");
        let log = stack.log().with_extension(format!("{name}.log"));
        fs::write(&log, "")?;
        let mut router = Self {
            process: Process::spawn("berth", &mut command, Some(&log))?,
            api: Api::new(&format!("http://{}", local(public)), None),
            operator: Api::new(&format!("http://{}", local(operator)), None),
        };
        router.until_ready()?;
        Ok(router)
    }

    fn until_ready(&mut self) -> Result<()> {
        let Self { process, operator, .. } = self;
        let ready = wait::until("the further router is ready", READY, || {
            if let Err(ended) = process.must_run() {
                return Ok(Some(Err(ended)));
            }
            Ok((operator.get("/readyz")?.status == 200).then_some(Ok(())))
        });
        ready.and_then(|outcome| outcome)
    }

    /// Returns a client of the public listener with this credential.
    pub fn with_credential(&self, credential: Option<&Credential>) -> Api {
        self.api.with_credential(credential.cloned())
    }

    /// Returns the metrics of this router.
    pub fn metrics(&self) -> Result<String> {
        Ok(String::from_utf8(self.operator.get("/metrics")?.expect(200)?.body)?)
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }
}
