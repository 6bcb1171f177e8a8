//! Charts as a picture: one self-contained SVG on a background of its own, without scripts and fonts from
//! elsewhere. Shapes say what colours say; text from outside is escaped.

use std::io::{self, Write};
use std::time::Duration;

use super::{Axis, Chart, Content, Kind, Mark, Row};
use crate::render::Layout;
use crate::render::summary;
use crate::render::xml::Xml;

/// What stands around the charts.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) title: String,
    /// The answer in words.
    pub(crate) answer: Vec<String>,
    /// What it means.
    pub(crate) said: Vec<String>,
    pub(crate) footer: String,
    /// RFC 3339: when it was drawn.
    pub(crate) at: String,
}

const WIDTH: f64 = 860.0;
const MARGIN: f64 = 28.0;
/// Where the axes begin and end, row names being left of that.
const PLOT: (f64, f64) = (130.0, 820.0);
const ROW: f64 = 24.0;
/// What a row stands below its chart's title, the axis below its rows, the next chart below the axis.
const TITLE: f64 = 30.0;
const LABELS: f64 = 24.0;
const BETWEEN: f64 = 30.0;
/// A character of the text on the axis is about so wide.
const CHARACTER: f64 = 6.8;

const STYLE: &str = "\
text{font-family:system-ui,'Segoe UI','DejaVu Sans',sans-serif;font-size:12px;fill:#3d4450}\
.title{font-size:20px;font-weight:600;fill:#14181f}.said{font-size:13px}.answer{font-size:14px;font-weight:600;fill:#14181f}\
.chart{font-size:13px;font-weight:600;fill:#14181f}.end{text-anchor:end}.middle{text-anchor:middle}\
.faint{fill:#6b7280;font-size:11px}.grid{stroke:#e3e6eb}.axis{stroke:#6b7280}\
.answered{fill:#00875a;fill-opacity:.8}.lost{stroke:#c8401a;stroke-width:1.8;fill:none}\
.reset{fill:#fff;stroke:#8e3b9e;stroke-width:1.6}\
.span{fill:#2563c9;fill-opacity:.16}.edge{stroke:#2563c9;stroke-width:1.2}\
.moment{stroke:#14181f;stroke-width:1.2;stroke-dasharray:4 3}.caption{fill:#1c4fa3;font-weight:600}\
.caption,.note{paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}";

/// Draws the charts below each other.
pub(crate) fn picture(out: &mut dyn Write, header: &Header, charts: &[Chart]) -> io::Result<()> {
    let mut top = 24.0;
    let mut said = Vec::new();
    for (class, width, height, texts) in [
        ("title", 68, 28.0, std::slice::from_ref(&header.title)),
        ("answer", 100, 21.0, &header.answer),
        ("said", 112, 19.0, &header.said),
    ] {
        for text in texts {
            for line in wrapped(text, width) {
                top += height;
                said.push((class, top, line));
            }
        }
    }
    let mut tops = Vec::new();
    for chart in charts {
        top += BETWEEN;
        tops.push(top);
        top += TITLE + ROW * count(chart.rows.len()) + LABELS;
    }
    let footer = top + BETWEEN;
    let mut canvas = Canvas(Xml::new(out));
    canvas.open(header, footer + 24.0)?;
    for (class, y, line) in &said {
        canvas.text(class, MARGIN, *y, line)?;
    }
    for (chart, top) in charts.iter().zip(tops) {
        canvas.chart(chart, top)?;
    }
    canvas.legend(charts, footer)?;
    canvas.text("faint end", WIDTH - MARGIN, footer, &header.footer)?;
    canvas.0.close("svg")?;
    canvas.0.finish()
}

struct Canvas<'w>(Xml<'w>);

impl Canvas<'_> {
    fn open(&mut self, header: &Header, height: f64) -> io::Result<()> {
        let (width, height) = (number(WIDTH), number(height));
        let attributes = [
            ("xmlns", String::from("http://www.w3.org/2000/svg")),
            ("viewBox", format!("0 0 {width} {height}")),
            ("width", width.clone()),
            ("height", height.clone()),
            ("role", String::from("img")),
        ];
        self.0.open("svg", &attributes)?;
        let comment = format!(" kalive {}, {} ", env!("CARGO_PKG_VERSION"), header.at);
        self.0.comment(&comment)?;
        let said = [&header.answer[..], &header.said].concat().join("\n");
        self.0.text("title", &[], &header.title)?;
        self.0.text("desc", &[], &said)?;
        self.0.text("style", &[], STYLE)?;
        let background = [
            ("width", width),
            ("height", height),
            ("rx", String::from("10")),
            ("fill", String::from("#ffffff")),
        ];
        self.0.empty("rect", &background)
    }

    fn text(&mut self, class: &str, x: f64, y: f64, text: &str) -> io::Result<()> {
        let attributes = [
            ("class", class.to_owned()),
            ("x", number(x)),
            ("y", number(y)),
        ];
        self.0.text("text", &attributes, text)
    }

    fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) -> io::Result<()> {
        self.0.empty(
            "line",
            &[
                ("class", class.to_owned()),
                ("x1", number(from.0)),
                ("y1", number(from.1)),
                ("x2", number(to.0)),
                ("y2", number(to.1)),
            ],
        )
    }

    fn chart(&mut self, chart: &Chart, top: f64) -> io::Result<()> {
        self.text("chart", MARGIN, top + 6.0, &chart.title)?;
        let rows = top + TITLE;
        let bottom = rows + ROW * count(chart.rows.len());
        self.axis(&chart.axis, rows, bottom)?;
        for row in &chart.rows {
            self.behind(&chart.axis, row, (rows, bottom))?;
        }
        for (index, row) in chart.rows.iter().enumerate() {
            let middle = rows + ROW * (count(index) + 0.5);
            self.text("end", PLOT.0 - 14.0, middle + 4.0, &row.name)?;
            self.row(&chart.axis, row, middle)?;
        }
        Ok(())
    }

    fn axis(&mut self, axis: &Axis, rows: f64, bottom: f64) -> io::Result<()> {
        #[expect(clippy::cast_precision_loss, reason = "labels are short")]
        let room = |label: &str| (label.len() as f64 * CHARACTER + 24.0) / (PLOT.1 - PLOT.0);
        for tick in axis.ticks(room) {
            let x = PLOT.0 + tick.position * (PLOT.1 - PLOT.0);
            self.line("grid", (x, rows), (x, bottom))?;
            self.line("axis", (x, bottom), (x, bottom + 5.0))?;
            self.text("middle", x, bottom + 19.0, &tick.label)?;
        }
        self.line("axis", (PLOT.0, bottom), (PLOT.1, bottom))
    }

    /// What lies behind the marks of all rows.
    fn behind(&mut self, axis: &Axis, row: &Row, (top, bottom): (f64, f64)) -> io::Result<()> {
        match &row.content {
            Content::Marks(_) => Ok(()),
            Content::Span { from, to, .. } => {
                let left = place(axis.position(*from));
                let right = to.map_or(PLOT.1, |to| place(axis.position(to)));
                let attributes = [
                    ("class", String::from("span")),
                    ("x", number(left)),
                    ("y", number(top)),
                    ("width", number(right - left)),
                    ("height", number(bottom - top)),
                ];
                self.0.empty("rect", &attributes)?;
                self.line("edge", (left, top), (left, bottom))?;
                match to {
                    Some(_) => self.line("edge", (right, top), (right, bottom)),
                    None => Ok(()),
                }
            }
            Content::Moment { at, .. } => {
                let x = place(axis.position(*at));
                self.line("moment", (x, top), (x, bottom))
            }
        }
    }

    fn row(&mut self, axis: &Axis, row: &Row, y: f64) -> io::Result<()> {
        match &row.content {
            Content::Marks(marks) => {
                for mark in marks.iter().filter(|mark| axis.contains(mark.at)) {
                    self.mark(*mark, place(axis.position(mark.at)), y)?;
                }
                Ok(())
            }
            Content::Span { from, to, caption } => {
                let left = place(axis.position(*from));
                let right = to.map_or(left, |to| place(axis.position(to)));
                self.caption("caption", (left, right), y, caption)
            }
            Content::Moment { at, caption } => {
                let x = place(axis.position(*at));
                self.caption("note", (x, x), y, caption)
            }
        }
    }

    /// Right of what it is about, or left of it where there is no room.
    fn caption(&mut self, class: &str, about: (f64, f64), y: f64, text: &str) -> io::Result<()> {
        let room = count(text.chars().count()) * (CHARACTER + 0.8);
        let fits = about.1 + 8.0 + room <= WIDTH - MARGIN;
        if fits || about.0 - room < PLOT.0 {
            self.text(class, about.1 + 8.0, y + 4.0, text)
        } else {
            self.text(&format!("{class} end"), about.0 - 8.0, y + 4.0, text)
        }
    }

    /// A shape for each kind: a dot, a cross, a square on its corner.
    fn mark(&mut self, mark: Mark, x: f64, y: f64) -> io::Result<()> {
        let path = |corners: [(f64, f64); 4], close: &str| {
            let [first, second, third, last] =
                corners.map(|(right, down)| format!("{} {}", number(x + right), number(y + down)));
            format!("M{first}L{second}{close}{third}L{last}")
        };
        let (class, commands) = match mark.kind {
            Kind::Answered => {
                return self.0.empty(
                    "circle",
                    &[
                        ("class", String::from("answered")),
                        ("cx", number(x)),
                        ("cy", number(y)),
                        ("r", String::from("3.6")),
                    ],
                );
            }
            Kind::Lost => {
                let cross = [(-3.4, -3.4), (3.4, 3.4), (-3.4, 3.4), (3.4, -3.4)];
                ("lost", path(cross, "M"))
            }
            Kind::Reset => {
                let diamond = [(0.0, -4.4), (4.4, 0.0), (0.0, 4.4), (-4.4, 0.0)];
                ("reset", path(diamond, "L") + "Z")
            }
        };
        self.0
            .empty("path", &[("class", class.to_owned()), ("d", commands)])
    }

    fn legend(&mut self, charts: &[Chart], y: f64) -> io::Result<()> {
        let mut x = MARGIN + 6.0;
        for kind in Kind::ALL {
            if charts
                .iter()
                .all(|chart| chart.kinds().all(|known| known != kind))
            {
                continue;
            }
            let at = Duration::ZERO;
            self.mark(Mark { at, kind }, x, y - 4.0)?;
            self.text("", x + 10.0, y, kind.name())?;
            x += 34.0 + count(kind.name().len()) * CHARACTER;
        }
        if charts.iter().any(|chart| chart.axis.is_logarithmic()) {
            self.text("faint", x, y, "(logarithmic axis)")?;
        }
        Ok(())
    }
}

fn place(position: f64) -> f64 {
    PLOT.0 + position * (PLOT.1 - PLOT.0)
}

#[expect(clippy::cast_precision_loss, reason = "a picture has few lines")]
fn count(number: usize) -> f64 {
    number as f64
}

/// To the tenth of a pixel.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let layout = Layout {
        width,
        cut: false,
        colored: false,
    };
    let table = summary::paragraph(layout, text).trim_fmt();
    table.lines().map(str::to_owned).collect()
}
