//! What a chart shows: marks in rows along one axis of time, drawn as text or as a picture. Knows no
//! command: each says what its rows and marks are.

mod axis;
mod svg;
mod text;

use std::time::Duration;

use super::summary::Meaning;
pub(crate) use axis::Axis;
pub(crate) use svg::{Header, picture};
pub(crate) use text::draw;

/// Rows above an axis.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    /// What is shown, and what the axis counts.
    pub(crate) title: String,
    pub(crate) axis: Axis,
    pub(crate) rows: Vec<Row>,
}

/// One row, with its name.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) content: Content,
}

/// What stands in a row.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Marks(Vec<Mark>),
    /// Something lies between these, the second being `None` where no end is known.
    Span {
        from: Duration,
        to: Option<Duration>,
        caption: String,
    },
    /// Something happens then.
    Moment {
        at: Duration,
        caption: String,
    },
}

/// What was tried at a time, and what came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) at: Duration,
    pub(crate) kind: Kind,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Answered,
    Lost,
    Reset,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Answered, Self::Lost, Self::Reset];

    fn symbol(self) -> char {
        match self {
            Self::Answered => '+',
            Self::Lost => 'x',
            Self::Reset => 'R',
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Lost => "no answer",
            Self::Reset => "RST",
        }
    }

    fn meaning(self) -> Meaning {
        match self {
            Self::Answered => Meaning::Good,
            Self::Lost | Self::Reset => Meaning::Warning,
        }
    }
}

impl Row {
    /// Whether the axis shows any of its marks.
    pub(crate) fn has_marks_on(&self, axis: &Axis) -> bool {
        match &self.content {
            Content::Marks(marks) => marks.iter().any(|mark| axis.contains(mark.at)),
            Content::Span { .. } | Content::Moment { .. } => false,
        }
    }

    pub(crate) fn marks(name: impl Into<String>, marks: Vec<Mark>) -> Self {
        Self {
            name: name.into(),
            content: Content::Marks(marks),
        }
    }
}

impl Chart {
    fn marks(&self) -> impl Iterator<Item = &Mark> {
        let marks = self.rows.iter().map(|row| match &row.content {
            Content::Marks(marks) => marks.as_slice(),
            Content::Span { .. } | Content::Moment { .. } => &[],
        });
        marks.flatten()
    }

    /// The kinds of marks that occur: those a legend has to name.
    fn kinds(&self) -> impl Iterator<Item = Kind> {
        let occurs = |kind: &Kind| self.marks().any(|mark| mark.kind == *kind);
        Kind::ALL.into_iter().filter(occurs)
    }
}
