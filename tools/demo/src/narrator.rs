//! Requests that are printed as `curl` commands with their answers.

use anyhow::Result;
use serde_json::Value;
use testbed::{
    client::Api,
    http::Reply,
    sessions::{PATIENCE, path},
    wait,
};

/// Sends requests and prints them.
#[derive(Debug)]
pub(crate) struct Narrator {
    /// Client with the credential.
    pub(crate) api: Api,
    /// The shell variable that stands for the key in the output.
    pub(crate) variable: &'static str,
}

impl Narrator {
    /// Sends a `GET`.
    pub(crate) fn get(&self, path: &str) -> Result<Reply> {
        self.show("GET", path, None)
    }

    /// Sends a `POST`, with this body if there is one.
    pub(crate) fn post(&self, path: &str, body: Option<&Value>) -> Result<Reply> {
        self.show("POST", path, body)
    }

    /// Sends a `DELETE`.
    pub(crate) fn delete(&self, path: &str) -> Result<Reply> {
        self.show("DELETE", path, None)
    }

    /// Polls until the field has this value, and prints the last request.
    pub(crate) fn until(&self, id: &str, field: &str, value: &Value) -> Result<()> {
        println!("  (until {field} is {value})");
        wait::until_true(&format!("{field} is {value}"), PATIENCE, || {
            Ok(self.api.get(&path(id))?.expect(200)?.json()[field] == *value)
        })?;
        self.get(&path(id)).map(drop)
    }

    fn show(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Reply> {
        let how = if method == "GET" { String::new() } else { format!(" -X {method}") };
        let base = self.api.base();
        let what = body.map_or_else(String::new, |body| {
            format!(" -H 'Content-Type: application/json' -d '{body}'")
        });
        println!("\n$ curl{how} {base}{path} -H \"X-Api-Key: ${}\"{what}", self.variable);
        let text = body.map(Value::to_string);
        let reply = self.api.send(method, path, &[], text.as_deref().map(str::as_bytes))?;
        println!("  {}", reply.status);
        if !reply.body.is_empty() {
            let pretty = serde_json::to_string_pretty(&reply.json())?;
            println!("  {}", pretty.replace('\n', "\n  "));
        }
        Ok(reply)
    }
}

/// Prints what the next requests do.
pub(crate) fn explain(text: &str) {
    println!("\n# {text}");
}
