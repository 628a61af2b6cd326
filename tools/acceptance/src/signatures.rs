//! Signatures of webhook requests, verified by code that is not berth's: the Python library of
//! Standard Webhooks, and the function in `docs/webhooks.md`.

use std::{fs, io::Write as _, process::Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{folder::hexadecimal, receiver::Delivery, workspace::Workspace};

use crate::python;

const SCRIPT: &str = "tools/acceptance/webhooks/verify.py";
const DOCUMENT: &str = "docs/webhooks.md";
/// Text of the documented function.
const FUNCTION: &str = "def is_from_berth(";

/// Who accepts a request with one secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The library of Standard Webhooks, by the header `webhook-signature`.
    pub by_library: bool,
    /// The documented function, by the header `X-Webhook-Hmac`.
    pub by_document: bool,
}

/// Verifies each request with each secret.
///
/// # Errors
/// When Python is missing, or the documentation has no such function.
pub fn verify(deliveries: &[Delivery], secrets: &[&str]) -> Result<Vec<Vec<Accepted>>> {
    let workspace = Workspace::find()?;
    let document = fs::read_to_string(workspace.root.join(DOCUMENT))?;
    let requests: Vec<_> = deliveries
        .iter()
        .map(|one| json!({ "headers": one.headers, "body": hexadecimal(&one.body) }))
        .collect();
    let task = json!({
        "documented": documented(&document)?,
        "secrets": secrets,
        "requests": requests,
    });
    let mut command = python::ready(&workspace)?.command(&workspace.root);
    command.arg(SCRIPT).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut python = command.spawn().context("Python cannot be started")?;
    python.stdin.take().context("a pipe")?.write_all(task.to_string().as_bytes())?;
    let output = python.wait_with_output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{SCRIPT} failed:\n{errors}");
    let results: Vec<Vec<Value>> = serde_json::from_slice(&output.stdout)?;
    let accepted = |result: &Value| Accepted {
        by_library: result["library"] == true,
        by_document: result["documented"] == true,
    };
    Ok(results.iter().map(|row| row.iter().map(accepted).collect()).collect())
}

/// Returns the Python code block with the documented function.
fn documented(document: &str) -> Result<&str> {
    let blocks = document.split("```python\n").skip(1);
    let mut blocks = blocks.filter_map(|block| block.split("```").next());
    let found = blocks.find(|block| block.contains(FUNCTION));
    found.with_context(|| format!("{DOCUMENT} has no Python code with {FUNCTION:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_block_with_the_function_is_found() {
        let document = "a\n```python\nx\n```\n```python\ndef is_from_berth(s):\n    1\n```\nb";
        assert_eq!(documented(document).unwrap(), "def is_from_berth(s):\n    1\n");
        documented("```sh\ndef is_from_berth(\n```").unwrap_err();
    }
}
