//! Columns that line up.

use super::style::paint;
use anstyle::Style;

/// Text in one style, or none.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

pub(crate) fn cell(style: Style, text: impl Into<String>) -> Cell {
    Cell { text: text.into(), style }
}

enum Row {
    Cells(Vec<Cell>),
    /// A line across the columns, indented below the row that it explains.
    Note(Cell),
}

/// Rows, and the notes between them.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

const GAP: usize = 3;
const NOTE_INDENT: usize = 4;

impl Table {
    pub(crate) fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        self.rows.push(Row::Cells(cells.into()));
    }

    pub(crate) fn note(&mut self, style: Style, text: impl Into<String>) {
        self.rows.push(Row::Note(cell(style, text)));
    }

    /// Every line indented by this much, and with its end.
    pub(crate) fn render(&self, indent: usize) -> String {
        let widths = self.widths();
        self.rows.iter().map(|row| format!("{:indent$}{}\n", "", line(row, &widths))).collect()
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths = Vec::new();
        for row in &self.rows {
            if let Row::Cells(cells) = row {
                widths.resize(widths.len().max(cells.len()), 0);
                for (width, cell) in widths.iter_mut().zip(cells) {
                    *width = (*width).max(cell.text.chars().count());
                }
            }
        }
        widths
    }
}

fn line(row: &Row, widths: &[usize]) -> String {
    match row {
        Row::Note(Cell { text, style }) => format!("{:NOTE_INDENT$}{}", "", paint(*style, text)),
        Row::Cells(cells) => {
            // Nothing after the last word of a line.
            let used = cells.iter().rposition(|cell| !cell.text.is_empty()).map_or(0, |last| last + 1);
            let mut out = String::new();
            for (index, Cell { text, style }) in cells[..used].iter().enumerate() {
                out.push_str(&paint(*style, text));
                if index + 1 < used {
                    let pad = widths[index] - text.chars().count() + GAP;
                    out.push_str(&" ".repeat(pad));
                }
            }
            out
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::style::{DIM, GOOD, PLAIN};
    use super::*;

    #[test]
    fn columns_line_up_whatever_their_colour() {
        let mut table = Table::default();
        table.row([cell(DIM, "NAME"), cell(DIM, "STATE"), cell(DIM, "")]);
        table.row([cell(PLAIN, "größer"), cell(GOOD, "up"), cell(PLAIN, "x")]);
        table.note(DIM, "why");
        let text = anstream::adapter::strip_str(&table.render(2)).to_string();
        assert_eq!(text, "  NAME     STATE\n  größer   up      x\n      why\n");
    }
}
