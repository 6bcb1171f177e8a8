//! The short tables of a summary, all of one look: a bold heading, no borders, two spaces between
//! columns, the last column wrapped where the width does not suffice.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use comfy_table::presets::NOTHING;
use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table,
};

use super::Layout;

/// What a cell's colour says, beside its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Plain,
    Good,
    Warning,
    Faint,
}

impl Meaning {
    /// The same for text that stands in no table.
    pub(crate) fn style(self, layout: Layout) -> Style {
        match self {
            _ if !layout.colored => Style::new(),
            Self::Plain => Style::new(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Warning => AnsiColor::Yellow.on_default(),
            Self::Faint => Style::new().dimmed(),
        }
    }
}

/// A table with these headings; columns whose heading starts with `>` stand on the right.
pub(crate) fn table(layout: Layout, headings: &[&str]) -> Table {
    let mut table = empty(layout);
    table.set_header(
        headings.iter().map(|heading| {
            Cell::new(heading.trim_start_matches('>')).add_attribute(Attribute::Bold)
        }),
    );
    for (index, heading) in headings.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            let last = index + 1 == headings.len();
            column.set_padding((0, if last { 0 } else { 2 }));
            if !last {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
            if heading.starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table
}

/// Writes a title, the table below it, and an empty line.
pub(crate) fn section(
    out: &mut dyn Write,
    layout: Layout,
    title: &str,
    table: &Table,
) -> io::Result<()> {
    let style = if layout.colored {
        Style::new().bold().underline()
    } else {
        Style::new()
    };
    writeln!(out, "{style}{title}{style:#}")?;
    writeln!(out, "{}\n", table.trim_fmt())
}

/// A cell whose colour means something.
pub(crate) fn cell(text: impl ToString, meaning: Meaning) -> Cell {
    let cell = Cell::new(text);
    match meaning {
        Meaning::Plain => cell,
        Meaning::Good => cell.fg(Color::Green),
        Meaning::Warning => cell.fg(Color::Yellow),
        Meaning::Faint => cell.add_attribute(Attribute::Dim),
    }
}

/// Running text, wrapped to the width.
pub(crate) fn paragraph(layout: Layout, text: &str) -> Table {
    let mut table = empty(layout);
    table.add_row([text]);
    if let Some(column) = table.column_mut(0) {
        column.set_padding((0, 0));
    }
    table
}

fn empty(layout: Layout) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(layout.width).unwrap_or(u16::MAX));
    table.force_no_tty();
    if layout.colored {
        table.enforce_styling();
    }
    table
}
