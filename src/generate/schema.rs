//! A JSON Schema (2020-12) for what each subcommand prints as JSON, made from the very types that are printed:
//! its document, and each of its events.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::render;
use crate::report;

/// The event that ends NDJSON.
const REPORT: &str = "report";

/// Every subcommand that prints JSON, with its schema.
pub(super) fn all() -> Vec<(&'static str, Value)> {
    use render::{hold, inspect, lab, probe, serve};
    vec![
        (
            "inspect",
            Command::new::<report::inspect::Report>(inspect::SCHEMA)
                .events::<inspect::EventLine>()
                .streamed::<Vec<report::inspect::SocketReport>>(
                    "sockets",
                    "The sockets, one by one; absent without -s.",
                )
                .finish(),
        ),
        (
            "probe",
            Command::new::<report::probe::Report>(probe::SCHEMA)
                .events::<probe::EventLine>()
                .finish(),
        ),
        (
            "hold",
            Command::new::<report::hold::Report>(hold::SCHEMA)
                .events::<crate::run::hold::event::Event>()
                .finish(),
        ),
        (
            "lab",
            Command::new::<report::lab::Report>(lab::SCHEMA)
                .events::<lab::EventLine>()
                .finish(),
        ),
        (
            "serve",
            Command::new::<report::serve::Report>(serve::SCHEMA)
                .events::<serve::EventLine>()
                .finish(),
        ),
    ]
}

/// The schema of a subcommand, as far as it is made.
struct Command {
    name: &'static str,
    generator: SchemaGenerator,
    report: Schema,
    /// Of the document only.
    streamed: Map<String, Value>,
    events: Vec<Value>,
}

impl Command {
    fn new<Report: JsonSchema>(name: &'static str) -> Self {
        let mut generator = SchemaSettings::draft2020_12()
            .for_serialize()
            .into_generator();
        Self {
            name,
            report: generator.subschema_for::<Report>(),
            generator,
            streamed: Map::new(),
            events: Vec::new(),
        }
    }

    /// An array that is written into the document beside the report.
    fn streamed<Items: JsonSchema>(mut self, name: &str, description: &str) -> Self {
        let mut items = self.generator.subschema_for::<Items>();
        items.insert("description".into(), description.into());
        self.streamed.insert(name.into(), items.into());
        self
    }

    /// Those of an enum that is tagged with `event`.
    fn events<Events: JsonSchema>(mut self) -> Self {
        let mut events = Events::json_schema(&mut self.generator);
        let events = events.remove("oneOf").unwrap_or_default();
        for mut event in events.as_array().cloned().unwrap_or_default() {
            self.begin_with_schema(&mut event);
            self.events.push(event);
        }
        self
    }

    /// Every document and event begins with the name of its schema.
    fn begin_with_schema(&self, line: &mut Value) {
        let Some(line) = line.as_object_mut() else {
            return;
        };
        let mut properties = Map::new();
        properties.insert("schema".into(), json!({"const": self.name}));
        if let Some(Value::Object(others)) = line.remove("properties") {
            properties.extend(others);
        }
        let mut required = vec![json!("schema")];
        if let Some(Value::Array(others)) = line.remove("required") {
            required.extend(others);
        }
        if let Some(event) = properties.get("event").and_then(|event| event.get("const")) {
            line.insert("title".into(), event.clone());
        }
        line.insert("properties".into(), properties.into());
        line.insert("required".into(), required.into());
    }

    fn finish(mut self) -> Value {
        let mut document = json!({
            "title": "document",
            "description": "The document of -o json.",
            "type": "object",
            "properties": self.streamed,
            "not": {"required": ["event"]},
        });
        let mut report = json!({
            "description": "The report, which comes last.",
            "type": "object",
            "properties": {"event": {"const": REPORT}},
            "required": ["event"],
        });
        for line in [&mut document, &mut report] {
            self.begin_with_schema(line);
            if let (Some(line), Some(of)) = (line.as_object_mut(), self.report.as_object()) {
                line.extend(of.clone());
            }
        }
        let lines: Vec<Value> = std::iter::once(document)
            .chain(self.events)
            .chain(std::iter::once(report))
            .collect();
        let mut schema = schemars::json_schema!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.name,
            "description": format!("{}: the document of -o json, or an event, a line of -o ndjson.", self.name),
            "oneOf": lines,
            "$defs": self.generator.take_definitions(true),
        });
        Tidy.transform(&mut schema);
        schema.into()
    }
}

/// A description is one line of plain text; a field that may be left out is never null, unless another field says
/// why it is; and a variant whose value is skipped is a word: for serde, but not for schemars.
struct Tidy;

impl Transform for Tidy {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(Value::String(text)) = schema.get_mut("description") {
            let words: Vec<&str> = text.split_whitespace().collect();
            *text = words.join(" ").replace('`', "");
        }
        let required = schema.get("required").cloned().unwrap_or_default();
        let required = required.as_array().cloned().unwrap_or_default();
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            let names: Vec<String> = properties.keys().cloned().collect();
            let is_told = |name: &String| names.contains(&format!("{name}_unknown"));
            let optional = properties
                .iter_mut()
                .filter(|(name, _)| !required.contains(&json!(name)) && !is_told(name));
            for (_, property) in optional {
                never_null(property);
            }
        }
        if let Some(word) = skipped(schema) {
            schema.remove("properties");
            schema.remove("required");
            schema.remove("additionalProperties");
            schema.insert("type".into(), "string".into());
            schema.insert("const".into(), word.into());
        }
        transform_subschemas(self, schema);
    }
}

/// The name of a field that is neither read nor written.
fn skipped(schema: &Schema) -> Option<String> {
    let (name, property) = schema.get("properties")?.as_object()?.iter().next()?;
    let never = |what| property.get(what) == Some(&json!(true));
    (never("readOnly") && never("writeOnly")).then(|| name.clone())
}

fn never_null(property: &mut Value) {
    let null = json!("null");
    if let Some(Value::Array(types)) = property.get_mut("type") {
        types.retain(|name| *name != null);
        if let [only] = &types[..] {
            property["type"] = only.clone();
        }
    }
    let alternatives = property.get("anyOf").and_then(Value::as_array);
    let not_null = |of: &&Value| of.get("type") != Some(&null);
    if let Some([only]) = alternatives
        .map(|all| all.iter().filter(not_null).cloned().collect::<Vec<_>>())
        .as_deref()
        && let (Some(property), Some(only)) = (property.as_object_mut(), only.as_object())
    {
        property.remove("anyOf");
        property.extend(only.clone());
    }
}

#[cfg(test)]
mod tests;
