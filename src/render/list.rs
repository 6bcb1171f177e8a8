//! A table of any length that is written as its rows arrive: the first rows decide the widths, and the
//! memory it takes does not grow. On a terminal rows are cut to its width; elsewhere they are whole.

use std::io::{self, Write};

use anstyle::Style;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::Layout;

/// How many rows are looked at before the widths are fixed.
const LOOK_AHEAD: usize = 256;
/// What separates two columns.
const GAP: usize = 2;
/// A column is not cut below this width.
const NARROWEST: usize = 8;

/// A column of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListColumn {
    pub(crate) title: &'static str,
    /// Numbers stand on the right.
    pub(crate) right: bool,
    /// Whether its cells may be cut on a terminal.
    pub(crate) elastic: bool,
    /// Whether it may be left out on a terminal that is too narrow: the one with the least number first.
    pub(crate) spare: Option<u8>,
}

/// One row's cells, one after the other in a single string.
#[derive(Clone, Debug, Default)]
struct Cells {
    text: String,
    ends: Vec<usize>,
}

impl Cells {
    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, &end)| self.text.get(start..end).unwrap_or_default())
    }
}

/// The list.
#[derive(Debug)]
pub(crate) struct List {
    columns: Vec<ListColumn>,
    layout: Layout,
    /// Rows that wait for the widths.
    waiting: Vec<Cells>,
    /// Of each column; `None` for one that is left out.
    widths: Option<Vec<Option<usize>>>,
    cells: Cells,
    line: String,
}

impl List {
    pub(crate) fn new(columns: Vec<ListColumn>, layout: Layout) -> Self {
        Self {
            columns,
            layout,
            waiting: Vec::new(),
            widths: None,
            cells: Cells::default(),
            line: String::new(),
        }
    }

    /// Adds a row; `fill` appends the text of the cell with the index it is given.
    pub(crate) fn row(
        &mut self,
        out: &mut dyn Write,
        mut fill: impl FnMut(usize, &mut String),
    ) -> io::Result<()> {
        self.cells.clear();
        for index in 0..self.columns.len() {
            fill(index, &mut self.cells.text);
            self.cells.ends.push(self.cells.text.len());
        }
        if let Some(widths) = &self.widths {
            return write_row(
                out,
                &mut self.line,
                &self.columns,
                widths,
                self.layout,
                &self.cells,
            );
        }
        self.waiting.push(self.cells.clone());
        if self.waiting.len() >= LOOK_AHEAD {
            self.finish(out)?;
        }
        Ok(())
    }

    /// Writes what waits. The heading is written also where there are no rows.
    pub(crate) fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.widths.is_some() {
            return Ok(());
        }
        let widths = self.fitting_widths();
        let mut heading = Cells::default();
        for column in &self.columns {
            heading.text.push_str(column.title);
            heading.ends.push(heading.text.len());
        }
        let style = if self.layout.colored {
            Style::new().bold()
        } else {
            Style::new()
        };
        write!(out, "{style}")?;
        write_row(
            out,
            &mut self.line,
            &self.columns,
            &widths,
            self.layout,
            &heading,
        )?;
        write!(out, "{style:#}")?;
        for cells in self.waiting.drain(..) {
            write_row(
                out,
                &mut self.line,
                &self.columns,
                &widths,
                self.layout,
                &cells,
            )?;
        }
        self.widths = Some(widths);
        Ok(())
    }

    /// The headings of the columns that were left out, once the widths are known.
    pub(crate) fn left_out(&self) -> Vec<&'static str> {
        let widths = self.widths.iter().flatten();
        let columns = self.columns.iter().zip(widths);
        columns
            .filter(|(_, width)| width.is_none())
            .map(|(column, _)| column.title)
            .collect()
    }

    /// The widest cell of each column. On a terminal that is too narrow for them all, spare columns are left
    /// out, and then cells are cut.
    fn fitting_widths(&self) -> Vec<Option<usize>> {
        let mut widths: Vec<usize> = self
            .columns
            .iter()
            .map(|column| column.title.len())
            .collect();
        for cells in &self.waiting {
            for (width, cell) in widths.iter_mut().zip(cells.iter()) {
                *width = (*width).max(cell.width());
            }
        }
        let mut widths: Vec<Option<usize>> = widths.into_iter().map(Some).collect();
        while self.layout.cut && total(&widths) > self.layout.width {
            let columns = widths.iter_mut().zip(&self.columns);
            let spare = columns.filter(|(width, column)| width.is_some() && column.spare.is_some());
            match spare.min_by_key(|(_, column)| column.spare) {
                Some((width, _)) => *width = None,
                None => break,
            }
        }
        while self.layout.cut && total(&widths) > self.layout.width {
            let columns = widths.iter_mut().zip(&self.columns);
            let elastic =
                columns.filter(|(width, column)| column.elastic && **width > Some(NARROWEST));
            match elastic.max_by_key(|(width, _)| **width) {
                Some((width, _)) => *width = width.map(|width| width - 1),
                None => break,
            }
        }
        widths
    }
}

/// The width of a row.
fn total(widths: &[Option<usize>]) -> usize {
    let shown = widths.iter().flatten();
    shown.clone().sum::<usize>() + GAP * shown.count().saturating_sub(1)
}

fn write_row(
    out: &mut dyn Write,
    line: &mut String,
    columns: &[ListColumn],
    widths: &[Option<usize>],
    layout: Layout,
    cells: &Cells,
) -> io::Result<()> {
    line.clear();
    for ((column, &width), cell) in columns.iter().zip(widths).zip(cells.iter()) {
        let Some(width) = width else { continue };
        let needed = if cell.is_ascii() {
            cell.len()
        } else {
            cell.width()
        };
        let padding = width.saturating_sub(needed);
        if column.right {
            push_spaces(line, padding);
        }
        if layout.cut && column.elastic && needed > width {
            push_cut(line, cell, width);
        } else {
            line.push_str(cell);
        }
        push_spaces(line, GAP + if column.right { 0 } else { padding });
    }
    line.truncate(line.trim_end().len());
    if layout.cut && line.width() > layout.width {
        // A row after the look-ahead has a wider cell than all that were looked at.
        let whole = std::mem::take(line);
        push_head(line, &whole, layout.width.saturating_sub(1));
        line.push('…');
    }
    line.push('\n');
    out.write_all(line.as_bytes())
}

fn push_spaces(line: &mut String, count: usize) {
    line.extend(std::iter::repeat_n(' ', count));
}

/// As much of the text as fits.
fn push_head(line: &mut String, text: &str, width: usize) {
    let mut used = 0;
    line.extend(text.chars().take_while(|character| {
        used += character.width().unwrap_or(0);
        used <= width
    }));
}

/// Cuts in the middle: the ends of an address tell more than its middle.
fn push_cut(line: &mut String, cell: &str, width: usize) {
    let tail_width = width.saturating_sub(1) * 2 / 5;
    let head_width = width.saturating_sub(1 + tail_width);
    push_head(line, cell, head_width);
    line.push('…');
    let mut used = 0;
    let tail = cell.char_indices().rev().take_while(|(_, character)| {
        used += character.width().unwrap_or(0);
        used <= tail_width
    });
    let start = tail.last().map_or(cell.len(), |(start, _)| start);
    line.push_str(cell.get(start..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [ListColumn; 3] = [
        ListColumn {
            title: "NAME",
            right: false,
            elastic: true,
            spare: None,
        },
        ListColumn {
            title: "SIZE",
            right: true,
            elastic: false,
            spare: None,
        },
        ListColumn {
            title: "PEER",
            right: false,
            elastic: true,
            spare: None,
        },
    ];

    fn printed(width: usize, cut: bool, rows: &[[&str; 3]]) -> String {
        let layout = Layout {
            width,
            cut,
            colored: false,
        };
        let mut list = List::new(COLUMNS.to_vec(), layout);
        let mut out = Vec::new();
        for row in rows {
            list.row(&mut out, |index, text| text.push_str(row[index]))
                .unwrap();
        }
        list.finish(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    const ROWS: [[&str; 3]; 2] = [
        ["sshd", "7", "[2001:db8:1:2:3:4:5:6]:44321"],
        ["ßtrange", "12345", "10.0.0.1:1"],
    ];

    #[test]
    fn columns_line_up() {
        let expected = "\
NAME      SIZE  PEER
sshd         7  [2001:db8:1:2:3:4:5:6]:44321
ßtrange  12345  10.0.0.1:1
";
        assert_eq!(printed(20, false, &ROWS), expected);
    }

    #[test]
    fn a_terminal_cuts_in_the_middle() {
        let expected = "\
NAME      SIZE  PEER
sshd         7  [2001:db8…44321
ßtrange  12345  10.0.0.1:1
";
        assert_eq!(printed(31, true, &ROWS), expected);
    }

    #[test]
    fn a_late_wide_cell_does_not_wrap_on_a_terminal() {
        let mut rows = vec![["a", "1", "b"]; LOOK_AHEAD];
        rows.push(["a", "12345678901234567890", "c"]);
        let text = printed(20, true, &rows);
        assert_eq!(text.lines().last(), Some("a     1234567890123…"));
        assert!(text.lines().all(|line| line.width() <= 20));
    }

    #[test]
    fn a_narrow_terminal_leaves_spare_columns_out_first() {
        let mut columns = COLUMNS;
        columns[1].spare = Some(1);
        let layout = Layout {
            width: 40,
            cut: true,
            colored: false,
        };
        let mut list = List::new(columns.to_vec(), layout);
        let mut out = Vec::new();
        for row in ROWS {
            list.row(&mut out, |index, text| text.push_str(row[index]))
                .unwrap();
        }
        list.finish(&mut out).unwrap();
        let expected = "\
NAME     PEER
sshd     [2001:db8:1:2:3:4:5:6]:44321
ßtrange  10.0.0.1:1
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(list.left_out(), ["SIZE"]);
    }

    #[test]
    fn an_empty_list_has_its_heading() {
        assert_eq!(printed(80, true, &[]), "NAME  SIZE  PEER\n");
    }

    #[test]
    fn rows_beyond_the_look_ahead_are_written_at_once() {
        let mut rows = vec![["a", "1", "b"]; LOOK_AHEAD];
        rows.push(["a wider name", "1", "c"]);
        let text = printed(80, false, &rows);
        assert_eq!(text.lines().count(), LOOK_AHEAD + 2);
        assert_eq!(text.lines().last(), Some("a wider name     1  c"));
    }
}
