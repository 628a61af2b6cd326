//! A decoder of QR codes that is not ours (`zxing-cpp`, a Python package), in place of the camera of a
//! phone.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use testbed::workspace::{self, Workspace};

const PACKAGES: [&str; 2] = ["zxing-cpp==3.1.1", "pillow==13.0.0"];
const PROGRAM: &str = "import sys, zxingcpp; from PIL import Image
for code in zxingcpp.read_barcodes(Image.open(sys.argv[1])): print(code.text)";

/// The decoder.
#[derive(Debug)]
pub(crate) struct QrDecoder {
    python: PathBuf,
}

impl QrDecoder {
    /// Returns the decoder; the first run installs the packages into a folder of the workspace.
    ///
    /// # Errors
    /// When Python or its registry is not available.
    pub(crate) fn load(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.scratch("decoder")?;
        let python = folder.join("bin/python");
        let works = Command::new(&python).args(["-c", "import zxingcpp, PIL"]).output();
        if !works.is_ok_and(|output| output.status.success()) {
            workspace::answer(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
            let mut pip = Command::new(folder.join("bin/pip"));
            workspace::answer(
                pip.args(["install", "--quiet", "--only-binary=:all:"]).args(PACKAGES),
            )?;
        }
        Ok(Self { python })
    }

    /// Returns the text of the code in a picture; `None` without a code.
    ///
    /// # Errors
    /// When the picture cannot be read.
    pub(crate) fn read(&self, picture: &Path) -> Result<Option<String>> {
        let mut command = Command::new(&self.python);
        let read = workspace::answer(command.args(["-c", PROGRAM]).arg(picture))?;
        Ok(read.lines().next().map(str::to_owned))
    }
}
