//! Tables for people: columns, no lines.

use std::fmt;

use comfy_table::{Attribute, Cell, Color, ContentArrangement, presets};

use crate::terminal::{plain, styles_stdout};

/// A table that is ready to be printed.
pub(crate) struct Table(comfy_table::Table);

/// A table with a head. Each row has as many cells as the head.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> Table {
    let mut table = empty();
    table.set_header(head.map(|name| styled(Cell::new(name.to_uppercase()))));
    for row in rows {
        table.add_row(row.map(|text| cell(&text)));
    }
    finished(table)
}

/// One thing: a name and a content on each line. Lines without content are left out.
pub(crate) fn fields(rows: impl IntoIterator<Item = (&'static str, Option<String>)>) -> Table {
    let mut table = empty();
    for (name, content) in rows {
        if let Some(content) = content {
            table.add_row([styled(Cell::new(name)), cell(&content)]);
        }
    }
    finished(table)
}

/// The text, or so many characters of it with a mark at its end.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn empty() -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    // Never broken to the terminal's width: an id that is broken cannot be copied.
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if !styles_stdout() {
        table.force_no_tty();
    }
    table
}

/// Columns are three spaces apart and begin at the left edge.
fn finished(mut table: comfy_table::Table) -> Table {
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    Table(table)
}

fn styled(cell: Cell) -> Cell {
    cell.add_attribute(Attribute::Bold)
}

/// States of runs have colors that say how they stand; so have the origins of a space's secrets, and what was found.
fn cell(text: &str) -> Cell {
    let cell = Cell::new(plain(text));
    match text {
        "completed" | "finished" | "served" => cell.fg(Color::Green),
        "failed" => cell.fg(Color::Red),
        "blocked" | "retrying" | "nothing served" => cell.fg(Color::Yellow),
        "overridden" => cell.fg(Color::Cyan),
        "inherited" => cell.add_attribute(Attribute::Dim),
        _ => cell,
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.trim_fmt())
    }
}
