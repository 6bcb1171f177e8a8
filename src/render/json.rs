//! JSON documents and events: the schema first, then the fields of whatever is shown.

use std::io::{self, Write};

use serde::Serialize;

/// An event of NDJSON, or a document if it has no name.
#[derive(Serialize)]
struct Envelope<'a, T> {
    schema: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'static str>,
    #[serde(flatten)]
    fields: &'a T,
}

/// Writes one event as a line.
pub(crate) fn event(
    out: &mut dyn Write,
    schema: &'static str,
    event: &'static str,
    fields: &impl Serialize,
) -> io::Result<()> {
    line(
        out,
        &Envelope {
            schema,
            event: Some(event),
            fields,
        },
    )
}

/// Writes a whole document.
pub(crate) fn document(
    out: &mut dyn Write,
    schema: &'static str,
    fields: &impl Serialize,
) -> io::Result<()> {
    line(
        out,
        &Envelope {
            schema,
            event: None,
            fields,
        },
    )
}

fn line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// A document with one long array that is written as its items arrive, before the other fields.
#[derive(Debug)]
pub(crate) struct Streamed {
    schema: &'static str,
    array: &'static str,
    items: u64,
}

impl Streamed {
    pub(crate) fn new(schema: &'static str, array: &'static str) -> Self {
        Self {
            schema,
            array,
            items: 0,
        }
    }

    pub(crate) fn item(&mut self, out: &mut dyn Write, item: &impl Serialize) -> io::Result<()> {
        if self.items == 0 {
            self.open(out)?;
        } else {
            out.write_all(b",\n")?;
        }
        self.items += 1;
        Ok(serde_json::to_writer(&mut *out, item)?)
    }

    fn open(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{{\"schema\":\"{}\",\"{}\":[", self.schema, self.array)
    }

    /// Closes the array and writes the other fields.
    pub(crate) fn finish(&self, out: &mut dyn Write, fields: &impl Serialize) -> io::Result<()> {
        if self.items == 0 {
            self.open(out)?;
        }
        let fields = serde_json::to_string(fields)?;
        match fields.strip_prefix('{') {
            Some("}") | None => writeln!(out, "]}}"),
            Some(rest) => writeln!(out, "],\n{rest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_streamed_document_is_one_document() {
        for items in [0, 1, 3] {
            let mut out = Vec::new();
            let mut streamed = Streamed::new("kalive.x/1", "items");
            for item in 0..items {
                streamed.item(&mut out, &item).unwrap();
            }
            streamed
                .finish(&mut out, &serde_json::json!({"complete": true}))
                .unwrap();
            let document: serde_json::Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(document["schema"], "kalive.x/1");
            assert_eq!(document["items"].as_array().map(Vec::len), Some(items));
            assert_eq!(document["complete"], true);
        }
    }
}
