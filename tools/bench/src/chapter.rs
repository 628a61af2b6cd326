//! The result of a measurement: a table and sentences, as text and as a part of the page.

use std::fmt::Write as _;

/// The part of one measurement on the page.
#[derive(Clone, Debug)]
pub(crate) struct Chapter {
    /// The heading.
    pub(crate) title: &'static str,
    /// The method, in enough detail to repeat and doubt the figures.
    pub(crate) method: String,
    /// The figures.
    pub(crate) table: Table,
    /// The conclusions, one sentence each.
    pub(crate) findings: Vec<String>,
    /// Guarantees that do not hold. Any entry fails the run.
    pub(crate) broken: Vec<String>,
}

/// Rows of cells with a head.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Chapter {
    /// Returns the text for a terminal.
    pub(crate) fn as_text(&self) -> String {
        let mut text = format!("{}\n\n{}", self.title, self.table.as_text());
        for finding in &self.findings {
            let _ = write!(text, "\n{finding}");
        }
        text
    }

    /// Returns the text for the page. `circumstances` state machine, date and commit.
    pub(crate) fn as_markdown(&self, circumstances: &str) -> String {
        let Self { title, method, table, findings, broken } = self;
        let mut text = format!("## {title}\n\n{method}\n\n{}\n", table.as_markdown());
        for finding in findings {
            let _ = writeln!(text, "- {finding}");
        }
        for promise in broken {
            let _ = writeln!(text, "- **Broken**: {promise}.");
        }
        if !findings.is_empty() || !broken.is_empty() {
            text.push('\n');
        }
        text + circumstances + "\n"
    }
}

impl Table {
    /// Creates an empty table. The first column names the subject of a row.
    pub(crate) fn new<const N: usize>(head: [impl Into<String>; N]) -> Self {
        Self { head: head.map(Into::into).to_vec(), rows: Vec::new() }
    }

    /// Appends a row. Missing cells stay empty.
    pub(crate) fn row(&mut self, cells: impl Into<Vec<String>>) {
        let mut cells = cells.into();
        cells.resize(self.head.len(), String::new());
        self.rows.push(cells);
    }

    fn as_text(&self) -> String {
        let widths = self.widths();
        let mut text = String::new();
        for row in std::iter::once(&self.head).chain(&self.rows) {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
                let padding = " ".repeat(width - cell.chars().count());
                if column == 0 { format!("{cell}{padding}") } else { format!("{padding}{cell}") }
            });
            let line = cells.collect::<Vec<_>>().join("   ");
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let longest = |column: usize| {
            let rows = std::iter::once(&self.head).chain(&self.rows);
            rows.map(|row| row[column].chars().count()).max().unwrap_or_default()
        };
        (0..self.head.len()).map(longest).collect()
    }

    fn as_markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut text = line(&self.head);
        text.push_str("| --- |");
        text.push_str(&" ---: |".repeat(self.head.len().saturating_sub(1)));
        text.push('\n');
        text.extend(self.rows.iter().map(|row| line(row)));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["what", "ms", "n"]);
        table.row(["fresh".to_owned(), "12".to_owned()]);
        table
    }

    #[test]
    fn text_table_is_aligned() {
        assert_eq!(table().as_text(), "what    ms   n\nfresh   12\n");
    }

    #[test]
    fn markdown_table_has_a_rule() {
        assert_eq!(
            table().as_markdown(),
            "| what | ms | n |\n| --- | ---: | ---: |\n| fresh | 12 |  |\n"
        );
    }
}
