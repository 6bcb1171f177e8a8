//! A chart as plain ASCII text that survives a log file. Colours say what the marks say.

use std::io::{self, Write};
use std::time::Duration;

use super::{Axis, Chart, Content, Kind, Mark};
use crate::render::Layout;
use crate::render::summary::Meaning;

/// Where marks of several kinds fall together.
const SEVERAL: char = '*';
/// Between the name of a row and its marks, and between labels.
const GAP: usize = 2;
/// However narrow the terminal, an axis is so long.
const SHORTEST: usize = 20;

/// Draws the chart below its title and a legend.
pub(crate) fn draw(out: &mut dyn Write, chart: &Chart, layout: Layout) -> io::Result<()> {
    let names = chart.rows.iter().map(|row| row.name.len());
    let margin = names.max().unwrap_or(0) + GAP;
    let plot = Plot {
        axis: chart.axis,
        columns: layout.width.saturating_sub(margin).max(SHORTEST),
    };
    let mut several = false;
    let mut lines = Vec::new();
    for row in &chart.rows {
        let line = match &row.content {
            Content::Marks(marks) => plot.marks(marks),
            Content::Span { from, to, caption } => plot.span(*from, *to, caption),
            Content::Moment { at, caption } => plot.moment(*at, caption),
        };
        several |= matches!(row.content, Content::Marks(_)) && line.has(SEVERAL);
        lines.push((row.name.as_str(), line));
    }
    let legend = legend(chart, several);
    let together = chart.title.chars().count() + legend.len() + GAP <= layout.width;
    let between = if together { "  " } else { "\n" };
    writeln!(out, "{}{between}{legend}", chart.title)?;
    let (line, labels) = plot.scale();
    for (name, line) in lines.into_iter().chain([("", line), ("", labels)]) {
        write!(out, "{name:margin$}")?;
        line.write(out, layout)?;
    }
    Ok(())
}

fn legend(chart: &Chart, several: bool) -> String {
    let mut parts: Vec<String> = chart
        .kinds()
        .map(|kind| format!("{} {}", kind.symbol(), kind.name()))
        .collect();
    if several {
        parts.push(format!("{SEVERAL} several that differ"));
    }
    if chart.axis.is_logarithmic() {
        parts.push(String::from("the axis is logarithmic"));
    }
    match &parts[..] {
        [] => String::new(),
        parts => format!("({})", parts.join(", ")),
    }
}

/// Where marks go.
struct Plot {
    axis: Axis,
    columns: usize,
}

/// A line of characters, each with what it means.
struct Line(Vec<(char, Meaning)>);

impl Plot {
    fn empty(&self) -> Line {
        Line(vec![(' ', Meaning::Plain); self.columns])
    }

    fn column(&self, at: Duration) -> usize {
        self.place(self.axis.position(at))
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a position is from 0 to 1, and a terminal has few columns"
    )]
    fn place(&self, position: f64) -> usize {
        let last = self.columns.saturating_sub(1);
        ((position * last as f64).round() as usize).min(last)
    }

    fn marks(&self, marks: &[Mark]) -> Line {
        let mut kinds: Vec<Option<Option<Kind>>> = vec![None; self.columns];
        for mark in marks.iter().filter(|mark| self.axis.contains(mark.at)) {
            if let Some(kind) = kinds.get_mut(self.column(mark.at)) {
                *kind = match *kind {
                    None => Some(Some(mark.kind)),
                    Some(Some(known)) if known == mark.kind => Some(Some(known)),
                    Some(_) => Some(None),
                };
            }
        }
        let shown = kinds.into_iter().map(|kind| match kind {
            None => (' ', Meaning::Plain),
            Some(Some(kind)) => (kind.symbol(), kind.meaning()),
            Some(None) => (SEVERAL, Meaning::Warning),
        });
        Line(shown.collect())
    }

    /// Such as `[===]`, or `|` where both ends fall on one column.
    fn span(&self, from: Duration, to: Option<Duration>, caption: &str) -> Line {
        let mut line = self.empty();
        let first = self.column(from);
        let last = to.map_or(self.columns.saturating_sub(1), |to| self.column(to));
        for column in first..=last {
            let character = match column {
                _ if first == last => '|',
                _ if column == first => '[',
                _ if column == last => to.map_or('>', |_| ']'),
                _ => '=',
            };
            line.put(column, character);
        }
        line.caption(first, last, caption);
        line
    }

    fn moment(&self, at: Duration, caption: &str) -> Line {
        let mut line = self.empty();
        let column = self.column(at);
        line.put(column, '|');
        line.caption(column, column, caption);
        line
    }

    /// The axis, and the labels below it.
    fn scale(&self) -> (Line, Line) {
        let (mut line, mut labels) = (self.empty(), self.empty());
        for column in 0..self.columns {
            line.put(column, '-');
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "labels are short, lines not long"
        )]
        let room = |label: &str| (label.len() + GAP) as f64 / self.columns as f64;
        for tick in self.axis.ticks(room) {
            let column = self.place(tick.position);
            line.put(column, '|');
            // The last may have to stand a little to the left.
            let start = column.min(self.columns.saturating_sub(tick.label.len()));
            labels.write_at(start, &tick.label);
        }
        (line, labels)
    }
}

impl Line {
    fn put(&mut self, column: usize, character: char) {
        if let Some(cell) = self.0.get_mut(column) {
            cell.0 = character;
        }
    }

    fn has(&self, character: char) -> bool {
        self.0.iter().any(|cell| cell.0 == character)
    }

    fn write_at(&mut self, start: usize, text: &str) {
        for (column, character) in (start..).zip(text.chars()) {
            self.put(column, character);
        }
    }

    /// Writes what stands from `first` to `last` means behind it, or before it where there is more room.
    fn caption(&mut self, first: usize, last: usize, text: &str) {
        let (after, length) = (last + GAP, text.chars().count());
        if after + length <= self.0.len() {
            self.write_at(after, text);
        } else if first > length {
            self.write_at(first - length - 1, text);
        } else if self.0.len().saturating_sub(after) < first {
            self.write_at(
                0,
                &text
                    .chars()
                    .take(first.saturating_sub(1))
                    .collect::<String>(),
            );
        } else {
            self.write_at(after, text);
        }
    }

    fn write(&self, out: &mut dyn Write, layout: Layout) -> io::Result<()> {
        let blank = |cell: &&(char, Meaning)| cell.0 == ' ';
        let trailing = self.0.iter().rev().take_while(blank).count();
        let shown = self.0.len() - trailing;
        for cells in self
            .0
            .get(..shown)
            .unwrap_or_default()
            .chunk_by(|one, other| one.1 == other.1)
        {
            let meaning = cells.first().map_or(Meaning::Plain, |cell| cell.1);
            let text: String = cells.iter().map(|cell| cell.0).collect();
            let style = meaning.style(layout);
            write!(out, "{style}{text}{style:#}")?;
        }
        writeln!(out)
    }
}
