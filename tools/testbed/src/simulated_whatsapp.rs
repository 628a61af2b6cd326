//! The program `whatsapp-sim`, which can be killed and started again as an outage of WhatsApp.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::{phones::Phones, process::Process, programs::Programs, wait};

const NAME: &str = "whatsapp-sim";
const READY: Duration = Duration::from_secs(40);

/// The simulated WhatsApp of a deployment.
#[derive(Debug)]
pub struct SimulatedWhatsapp {
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    process: Option<Process>,
}

impl SimulatedWhatsapp {
    /// Starts the program with these addresses. With a folder, queues, phones and messages are
    /// stored there and survive [`kill`](Self::kill).
    pub fn start(
        programs: &Programs,
        (chat, control): (&str, &str),
        state: Option<&Path>,
        log: &Path,
    ) -> Result<Self> {
        let mut arguments = ["--listen", chat, "--control", control].map(str::to_owned).to_vec();
        if let Some(folder) = state {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
            let file = folder.join("state.json");
            arguments.extend(["--state".to_owned(), file.display().to_string()]);
        }
        let program = programs.program(NAME);
        let mut simulated = Self { program, arguments, log: log.to_owned(), process: None };
        simulated.spawn()?;
        Ok(simulated)
    }

    fn spawn(&mut self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        self.process = Some(Process::spawn(NAME, &mut command, Some(&self.log))?);
        Ok(())
    }

    /// Waits until the control interface answers.
    pub fn wait_ready(&mut self, phones: &Phones) -> Result<()> {
        wait::until_true("whatsapp-sim answers", READY, || {
            let answers = phones.answers();
            answers.or_else(|_| {
                self.process.as_mut().map_or(Ok(()), Process::must_run).map(|()| false)
            })
        })
    }

    /// Kills the program: WhatsApp is away until [`restart`](Self::restart).
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), |mut process| process.kill())
    }

    /// Starts the program again with the same addresses and the stored state.
    pub fn restart(&mut self, phones: &Phones) -> Result<()> {
        self.kill()?;
        self.spawn()?;
        self.wait_ready(phones)
    }
}
