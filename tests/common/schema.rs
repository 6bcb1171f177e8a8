//! What kalive prints, against the schemas in schemas/. Readers are to bear fields that they do not know; here such a
//! field is an error, because the schema would then not tell of it.
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test file uses its own part of this"
)]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// A schema as it is published.
pub(crate) fn published(command: &str) -> Value {
    let name = format!("schemas/kalive.{command}-1.json");
    let text = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Checks everything that a subcommand prints, and notes what has been seen.
pub(crate) struct Checker {
    command: &'static str,
    published: Validator,
    /// By the event, or `document`: where no other field is allowed.
    strict: BTreeMap<String, Validator>,
    seen: RefCell<BTreeSet<String>>,
}

impl Checker {
    pub(crate) fn new(command: &'static str) -> Self {
        let schema = published(command);
        let mut definitions = schema["$defs"].clone();
        for definition in definitions.as_object_mut().unwrap().values_mut() {
            // What it is part of may have more fields.
            close_parts(definition);
        }
        let lines = schema["oneOf"].as_array().unwrap().iter();
        let strict = lines.map(|line| {
            let name = line["title"].as_str().unwrap().to_owned();
            let mut line = line.clone();
            close_parts(&mut line);
            line["unevaluatedProperties"] = json!(false);
            line["$defs"] = definitions.clone();
            (name, validator(&line))
        });
        Self {
            command,
            published: validator(&schema),
            strict: strict.collect(),
            seen: RefCell::default(),
        }
    }

    /// What is wrong with a document or event.
    pub(crate) fn errors(&self, line: &Value) -> Vec<String> {
        let name = line["event"].as_str().unwrap_or("document");
        let Some(strict) = self.strict.get(name) else {
            return vec![format!("there is no event {name}")];
        };
        let errors = strict.iter_errors(line);
        let mut errors: Vec<String> = errors
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        if errors.is_empty() && !self.published.is_valid(line) {
            errors.push(String::from("not one of the lines"));
        }
        errors
    }

    /// It is as the schema says.
    #[track_caller]
    pub(crate) fn check(&self, line: &Value) {
        let errors = self.errors(line);
        assert!(errors.is_empty(), "{}: {errors:#?}\n{line:#}", self.command);
        let name = line["event"].as_str().unwrap_or("document");
        self.seen.borrow_mut().insert(name.to_owned());
    }

    /// Each line of NDJSON is, and the last is the report.
    #[track_caller]
    pub(crate) fn check_lines(&self, text: &[u8]) -> Vec<Value> {
        let lines = serde_json::Deserializer::from_slice(text).into_iter();
        let lines: Vec<Value> = lines.map(|line| line.unwrap()).collect();
        for line in &lines {
            self.check(line);
        }
        assert_eq!(lines.last().unwrap()["event"], "report");
        lines
    }

    /// Every line that the schema has, has been seen.
    #[track_caller]
    pub(crate) fn assert_seen(&self, names: &[&str]) {
        let seen = self.seen.borrow();
        for name in names {
            assert!(
                seen.contains(*name),
                "{}: no {name} in {seen:?}",
                self.command
            );
        }
    }

    /// Renames each field of a document or event in turn, and gives each value another type: it is wrong then.
    /// Says how many there were.
    #[track_caller]
    pub(crate) fn assert_teeth(&self, whole: &Value) -> usize {
        self.check(whole);
        let mut places = Vec::new();
        push_places(whole, "", &mut places);
        // Any counter of the kernel may be there.
        places.retain(|place| !place.contains("/netstat/"));
        for place in &places {
            let (parent, name) = place.rsplit_once('/').unwrap();
            let mut renamed = whole.clone();
            let fields = renamed.pointer_mut(parent).unwrap();
            let fields = fields.as_object_mut().unwrap();
            let value = fields.remove(name).unwrap();
            fields.insert(format!("{name}x"), value);
            assert!(!self.errors(&renamed).is_empty(), "{place} may be renamed");
            let mut retyped = whole.clone();
            *retyped.pointer_mut(place).unwrap() = json!({"another": ["type"]});
            assert!(!self.errors(&retyped).is_empty(), "{place} may be anything");
        }
        places.len()
    }

    /// The names of all lines.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.strict.keys().map(String::as_str).collect()
    }
}

fn validator(schema: &Value) -> Validator {
    jsonschema::draft202012::options()
        .should_validate_formats(false)
        .build(schema)
        .unwrap()
}

/// Allows no other field in any object below this one.
fn close_parts(schema: &mut Value) {
    match schema {
        Value::Object(parts) => parts.values_mut().for_each(close),
        Value::Array(parts) => parts.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn close(schema: &mut Value) {
    close_parts(schema);
    // An array of alternatives, a list of required names and the map of properties are no schemas themselves.
    let is_schema = |parts: &Map<String, Value>| {
        parts.contains_key("$ref") || parts.get("properties").is_some_and(Value::is_object)
    };
    if let Value::Object(parts) = schema
        && is_schema(parts)
        && parts.get("type") != Some(&json!("string"))
    {
        parts.insert("unevaluatedProperties".into(), json!(false));
    }
}

/// The pointers to all fields.
fn push_places(value: &Value, place: &str, places: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let place = format!("{place}/{name}");
                push_places(field, &place, places);
                places.push(place);
            }
        }
        // The others are like the first.
        Value::Array(items) => {
            if let Some(item) = items.first() {
                push_places(item, &format!("{place}/0"), places);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
