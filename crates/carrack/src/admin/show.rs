//! Printing answers: tables for people, JSON for scripts.

use std::io::{self, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::{cli::Output, exit::Failure};

/// A table in the making. Numbers stand to the right.
pub(crate) struct Rows {
    table: Table,
    numeric: Vec<bool>,
}

impl Rows {
    /// A table with these columns; those that end in `>` hold numbers.
    pub(crate) fn new(columns: &[&str]) -> Self {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(columns.iter().map(|column| column.trim_end_matches('>')));
        let numeric = columns.iter().map(|column| column.ends_with('>')).collect();
        Self { table, numeric }
    }

    /// Adds a row.
    pub(crate) fn push<T: ToString>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.table
            .add_row(cells.into_iter().map(|cell| cell.to_string()));
    }

    /// The table as text, without blanks at the ends of lines.
    pub(crate) fn text(mut self) -> String {
        for (index, numeric) in self.numeric.iter().enumerate() {
            if let Some(column) = self.table.column_mut(index) {
                column.set_padding((0, 2));
                if *numeric {
                    column.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        let mut text = String::new();
        for line in self.table.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Names and values, one a line, values in a column.
pub(crate) fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    facts
        .iter()
        .map(|(name, value)| format!("{name:width$}  {value}\n"))
        .collect()
}

/// Prints an answer in the form that was asked for.
pub(super) fn answer(
    output: Output,
    value: &impl Serialize,
    text: impl FnOnce() -> String,
) -> Result<(), Failure> {
    match output {
        Output::Json => json(value)?,
        Output::Table => print(&text())?,
    }
    Ok(())
}

/// Prints text to standard output. That the reader has gone (a closed pipe) is no error.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Prints a value as JSON.
pub(crate) fn json(value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    print(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right() {
        let mut rows = Rows::new(&["NAME", "QUEUES>"]);
        rows.push(["orders", "8"]);
        rows.push(["a-longer-name", "128"]);
        assert_eq!(
            rows.text(),
            "NAME           QUEUES\norders              8\na-longer-name     128\n"
        );
    }

    #[test]
    fn facts_stand_in_a_column() {
        let text = facts(&[("topic", "orders".into()), ("id", "7".into())]);
        assert_eq!(text, "topic  orders\nid     7\n");
    }
}
