//! [`Report`]: the findings of all checks, as text and as JSON, and the exit code.

use serde_json::{Value, json};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The check passed.
    Ok,
    /// The program works, and a limit, a delay or an unsafe state is near.
    Warning,
    /// The program does not start, or a part of its work fails.
    Fault,
}

impl Level {
    /// Returns the name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The name of the check, such as `database`.
    pub check: &'static str,
    /// How bad the finding is.
    pub level: Level,
    /// What was found, and for a warning or a fault what to do. Never contains a secret.
    pub message: String,
}

/// All findings, in the order of the checks.
#[derive(Clone, Debug, Default)]
pub struct Report(Vec<Finding>);

impl Report {
    /// Adds a passed check.
    pub fn ok(&mut self, check: &'static str, message: impl Into<String>) {
        self.add(check, Level::Ok, &message.into());
    }

    /// Adds a warning.
    pub fn warn(&mut self, check: &'static str, message: impl Into<String>) {
        self.add(check, Level::Warning, &message.into());
    }

    /// Adds a fault.
    pub fn fault(&mut self, check: &'static str, message: impl Into<String>) {
        self.add(check, Level::Fault, &message.into());
    }

    fn add(&mut self, check: &'static str, level: Level, message: &str) {
        // One line for each finding, whatever an error message contains.
        let message = message.lines().collect::<Vec<_>>().join(" ");
        self.0.push(Finding { check, level, message });
    }

    /// Returns the findings.
    pub fn findings(&self) -> &[Finding] {
        &self.0
    }

    /// Returns the worst level.
    pub fn level(&self) -> Level {
        self.0.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
    }

    /// Returns the exit code: 0 if every check passed, 1 with warnings, 2 with faults.
    pub fn exit_code(&self) -> u8 {
        match self.level() {
            Level::Ok => 0,
            Level::Warning => 1,
            Level::Fault => 2,
        }
    }

    /// Returns one line for each finding, and a summary.
    pub fn as_text(&self) -> String {
        let count = |level| self.0.iter().filter(|finding| finding.level == level).count();
        let lines = self.0.iter().map(|Finding { check, level, message }| {
            format!("{:<7}  {check}: {message}\n", level.as_str())
        });
        let summary = format!(
            "{} checks: {} faults, {} warnings\n",
            self.0.len(),
            count(Level::Fault),
            count(Level::Warning)
        );
        lines.chain([summary]).collect()
    }

    /// Returns the findings as a JSON document.
    pub fn as_json(&self) -> String {
        let findings = self.0.iter().map(|Finding { check, level, message }| {
            json!({ "check": check, "level": level.as_str(), "message": message })
        });
        let findings = Value::Array(findings.collect());
        format!("{:#}\n", json!({ "level": self.level().as_str(), "findings": findings }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worst_finding_gives_level_and_exit_code() {
        let mut report = Report::default();
        assert_eq!((report.level(), report.exit_code()), (Level::Ok, 0));
        report.ok("a", "fine");
        assert_eq!(report.exit_code(), 0);
        report.fault("b", "gone");
        report.warn("c", "near\nthe limit");
        assert_eq!((report.level(), report.exit_code()), (Level::Fault, 2));
        let text = report.as_text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "ok       a: fine",
                "fault    b: gone",
                "warning  c: near the limit",
                "3 checks: 1 faults, 1 warnings"
            ]
        );
        let json: Value = serde_json::from_str(&report.as_json()).unwrap();
        assert_eq!(json["level"], "fault");
        assert_eq!(json["findings"][2]["message"], "near the limit");
    }
}
