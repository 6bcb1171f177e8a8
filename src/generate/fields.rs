//! The sections JSON and EVENTS of a manual page, told by the JSON Schema of what the subcommand prints: name, type and
//! meaning of each field are what the report types say.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::roff::escaped;

const UNKNOWN: &str = "_unknown";

/// Both sections, of a subcommand whose schema this is.
pub(super) fn sections(subcommand: &str, schema: &Value) -> String {
    let page = Page { schema };
    let mut text = String::from(".SH JSON\n");
    let intro = format!(
        "The document of -o json; its JSON Schema is schemas/kalive.{subcommand}-1.json in kalive's sources. Times \
         are numbers of seconds, in fields whose names end in _s. Where a field is null, a field of its name with \
         {UNKNOWN} behind it says why its value is not known. Fields may be added, so a reader has to bear those that \
         it does not know; none is renamed."
    );
    let _ = writeln!(text, "{}", escaped(&intro));
    let [document, events @ .., _report] = page.lines() else {
        return text;
    };
    page.push_fields(&mut text, document);
    for (name, definition) in page.definitions() {
        if is_worth_a_section(definition) {
            let _ = writeln!(text, ".SS {}", escaped(name));
            push_description(&mut text, definition);
            page.push_fields(&mut text, definition);
        }
    }
    text.push_str(".SH EVENTS\n");
    let record = match subcommand {
        "hold" => ", and in the file of --record,",
        _ => "",
    };
    let intro = format!(
        "With -o ndjson{record} each line is an event, whose schema is as above and whose event says what it is. The last \
         is report, which has the fields of the document."
    );
    let _ = writeln!(text, "{}", escaped(&intro));
    for event in events {
        let name = text_of(event, "title");
        let _ = writeln!(text, ".SS {}", escaped(name));
        push_description(&mut text, event);
        page.push_fields(&mut text, event);
    }
    text
}

struct Page<'a> {
    schema: &'a Value,
}

impl<'a> Page<'a> {
    /// The document, the events, the report as an event.
    fn lines(&self) -> &'a [Value] {
        self.schema
            .get("oneOf")
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    /// Each in front of those that it leads to itself; not the report, which is the document.
    fn definitions(&self) -> Vec<(&'a str, &'a Value)> {
        let mut found = Vec::new();
        for line in self.lines() {
            self.find_definitions(line, &mut found);
        }
        found.retain(|(name, _)| *name != "Report");
        found
    }

    fn find_definitions(&self, of: &'a Value, found: &mut Vec<(&'a str, &'a Value)>) {
        let parts: Box<dyn Iterator<Item = &Value>> = match of {
            Value::Object(parts) => Box::new(parts.values()),
            Value::Array(parts) => Box::new(parts.iter()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return,
        };
        for part in parts {
            self.find_definitions(part, found);
        }
        if let Some(referred) = self
            .referred(of)
            .filter(|referred| !found.contains(referred))
        {
            found.push(referred);
            self.find_definitions(referred.1, found);
        }
    }

    /// What a reference leads to, with its name.
    fn referred(&self, of: &'a Value) -> Option<(&'a str, &'a Value)> {
        let name = of.get("$ref")?.as_str()?.strip_prefix("#/$defs/")?;
        Some((name, self.schema.get("$defs")?.get(name)?))
    }

    /// The fields of an object, also those that it has by reference, or the words that it may be.
    fn push_fields(&self, text: &mut String, of: &'a Value) {
        if let Some((name, definition)) = self.referred(of) {
            self.push_properties(text, of);
            if name == "Report" {
                self.push_fields(text, definition);
            } else {
                let _ = writeln!(
                    text,
                    ".PP\nIts other fields are those of {}, above.",
                    escaped(name)
                );
            }
            return;
        }
        self.push_properties(text, of);
        for alternative in alternatives(of) {
            let meaning = text_of(alternative, "description");
            let properties = alternative.get("properties").and_then(Value::as_object);
            for (name, property) in properties.into_iter().flatten() {
                push_item(text, name, Some(&self.kind(name, property)), meaning);
            }
            if properties.is_none() {
                push_item(text, text_of(alternative, "const"), None, meaning);
            }
        }
    }

    fn push_properties(&self, text: &mut String, of: &'a Value) {
        let none = Map::new();
        let properties = of.get("properties").and_then(Value::as_object);
        let properties = properties.unwrap_or(&none);
        for (name, property) in properties {
            let told = matches!(name.as_str(), "schema" | "event")
                || name.strip_suffix(UNKNOWN).is_some_and(|of| {
                    let usual = format!("Why {of} is null; absent if it is not.");
                    text_of(property, "description") == usual
                });
            if !told {
                let kind = self.kind(name, property);
                push_item(text, name, Some(&kind), text_of(property, "description"));
            }
        }
    }

    /// The type of a field, in words.
    fn kind(&self, name: &str, of: &'a Value) -> String {
        if let Some((definition, target)) = self.referred(of) {
            return if is_worth_a_section(target) {
                definition.to_owned()
            } else {
                self.kind(name, target)
            };
        }
        if let Some(alternatives) = of.get("anyOf").and_then(Value::as_array)
            && of.get("type").is_none()
        {
            let kinds: Vec<String> = alternatives.iter().map(|of| self.kind(name, of)).collect();
            return kinds.join(" or ");
        }
        if let Some(words) = of.get("enum").and_then(Value::as_array) {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            return words.join(" | ");
        }
        let types: Vec<&str> = match of.get("type") {
            Some(Value::String(only)) => vec![only],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let kinds: Vec<String> = types
            .iter()
            .map(|kind| self.plain(name, kind, of))
            .collect();
        kinds.join(" or ")
    }

    fn plain(&self, name: &str, kind: &str, of: &'a Value) -> String {
        let part = |part: &str| of.get(part).map(|part| self.kind(name, part));
        match kind {
            "boolean" => String::from("true or false"),
            "number" if name.ends_with("_s") => String::from("seconds"),
            "array" => format!("array of {}", part("items").unwrap_or_default()),
            "object" => match part("additionalProperties") {
                Some(values) => format!("{values} by name"),
                None => String::from("object"),
            },
            other => other.to_owned(),
        }
    }
}

/// Whether it has fields, or words that mean something.
fn is_worth_a_section(definition: &Value) -> bool {
    definition.get("properties").is_some() || !alternatives(definition).is_empty()
}

fn alternatives(of: &Value) -> &[Value] {
    of.get("oneOf")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn text_of<'a>(of: &'a Value, field: &str) -> &'a str {
    of.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn push_description(text: &mut String, of: &Value) {
    let _ = writeln!(text, "{}", escaped(text_of(of, "description")));
}

fn push_item(text: &mut String, name: &str, kind: Option<&str>, meaning: &str) {
    let kind = kind.map_or_else(String::new, |kind| format!(" ({})", escaped(kind)));
    let _ = writeln!(
        text,
        ".TP\n\\fB{}\\fR{kind}\n{}",
        escaped(name),
        escaped(meaning)
    );
}
