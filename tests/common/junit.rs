//! Reads a JUnit document back as a CI system does, and checks that it agrees with itself and with the
//! schema that Jenkins validates by.

use std::io::Write as _;
use std::process::{Command, Stdio};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// What a document says of its tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) tests: usize,
    pub(crate) failures: usize,
    pub(crate) errors: usize,
    pub(crate) skipped: usize,
}

impl Counts {
    fn announced(element: &BytesStart) -> Self {
        let number = |name: &str| {
            let attribute = element.try_get_attribute(name).unwrap();
            attribute.map(|attribute| attribute.value.parse().unwrap())
        };
        Self {
            tests: number("tests").unwrap(),
            failures: number("failures").unwrap(),
            errors: number("errors").unwrap(),
            skipped: number("skipped").unwrap_or_default(),
        }
    }
}

/// The counts of a document, which are those of its elements, at every level.
pub(crate) fn checked(document: &str) -> Counts {
    let mut reader = Reader::from_str(document);
    let mut announced = Vec::new();
    let mut counted = Counts::default();
    loop {
        match reader.read_event().unwrap() {
            Event::Start(element) | Event::Empty(element) => match element.name().as_ref() {
                "testsuites" | "testsuite" => announced.push(Counts::announced(&element)),
                "testcase" => counted.tests += 1,
                "failure" => counted.failures += 1,
                "error" => counted.errors += 1,
                "skipped" => counted.skipped += 1,
                "system-out" | "system-err" => {}
                other => panic!("what is {}?", other),
            },
            Event::Eof => break,
            _ => {}
        }
    }
    let [all, suite] = announced[..] else {
        panic!("{document}")
    };
    assert_eq!(suite, counted, "{document}");
    // The schema knows no skipped there.
    assert_eq!(
        Counts {
            skipped: 0,
            ..counted
        },
        all,
        "{document}"
    );
    validated(document);
    counted
}

fn validated(document: &str) {
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/junit-10.xsd");
    let xmllint = Command::new("xmllint")
        .args(["--noout", "--schema", schema, "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut xmllint) = xmllint else {
        println!("skipped: xmllint is not installed");
        return;
    };
    let mut input = xmllint.stdin.take().unwrap();
    input.write_all(document.as_bytes()).unwrap();
    drop(input);
    let output = xmllint.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{document}");
}
