//! JUnit XML as CI systems read it. A negative answer is a failure; what could not be measured is an error,
//! or skipped where nobody insists. So the document says what the exit code says.

use std::io::{self, Write};
use std::time::Duration;

use super::xml::Xml;

/// How a test came out.
pub(crate) enum Came {
    Passed,
    /// The answer is negative, because.
    Failed(Why),
    /// There is no answer, because.
    Error(Why),
    /// There is none, and that was allowed.
    Skipped(Why),
}

/// Why it did not pass.
pub(crate) struct Why {
    /// A word for it, the same each time.
    pub(crate) kind: &'static str,
    /// A line.
    pub(crate) message: String,
    /// What it means.
    pub(crate) explanation: String,
}

/// A test.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) came: Came,
    pub(crate) time: Option<Duration>,
    /// What it showed, such as a chart.
    pub(crate) output: Option<String>,
}

/// The tests of one subcommand.
pub(crate) struct Suite {
    /// The subcommand, with what makes it another one.
    pub(crate) name: String,
    /// What stands before the name of each test.
    pub(crate) class: &'static str,
    pub(crate) time: Option<Duration>,
    pub(crate) cases: Vec<Case>,
    /// What went otherwise than planned.
    pub(crate) warnings: Vec<String>,
}

/// The case that an interrupted run has beside those it came to: else what is missing would count for good.
pub(crate) fn interrupted() -> Case {
    let why = Why {
        kind: "interrupted",
        message: String::from("interrupted before its end"),
        explanation: String::from("This is what was known by then."),
    };
    Case {
        name: String::from("the run comes to its end"),
        came: Came::Error(why),
        time: None,
        output: None,
    }
}

/// Writes the document, as the schemas of Jenkins have it: attributes that others have invented are left out.
pub(crate) fn write(out: &mut dyn Write, suite: &Suite) -> io::Result<()> {
    let count = |wanted: fn(&Came) -> bool| {
        let cases = suite.cases.iter().filter(|case| wanted(&case.came));
        cases.count().to_string()
    };
    let failures = ("failures", count(|came| matches!(came, Came::Failed(_))));
    let errors = ("errors", count(|came| matches!(came, Came::Error(_))));
    let skipped = ("skipped", count(|came| matches!(came, Came::Skipped(_))));
    let tests = ("tests", suite.cases.len().to_string());
    let mut all = vec![("name", String::from("kalive")), tests, failures, errors];
    all.extend(suite.time.map(seconds));
    let mut xml = Xml::new(out);
    xml.declaration()?;
    xml.open("testsuites", &all)?;
    if let Some(name) = all.first_mut() {
        name.1.clone_from(&suite.name);
    }
    all.push(skipped);
    xml.open("testsuite", &all)?;
    for case in &suite.cases {
        test(&mut xml, case, suite.class)?;
    }
    if !suite.warnings.is_empty() {
        xml.text("system-err", &[], &suite.warnings.join("\n"))?;
    }
    xml.close("testsuite")?;
    xml.close("testsuites")?;
    xml.finish()
}

fn seconds(time: Duration) -> (&'static str, String) {
    ("time", format!("{:.3}", time.as_secs_f64()))
}

fn test(xml: &mut Xml, case: &Case, class: &str) -> io::Result<()> {
    let mut attributes = vec![("name", case.name.clone()), ("classname", class.to_owned())];
    attributes.extend(case.time.map(seconds));
    xml.open("testcase", &attributes)?;
    let why = match &case.came {
        Came::Passed => None,
        Came::Failed(why) => Some(("failure", why)),
        Came::Error(why) => Some(("error", why)),
        Came::Skipped(why) => Some(("skipped", why)),
    };
    if let Some((name, why)) = why {
        let attributes = [
            ("type", why.kind.to_owned()),
            ("message", why.message.clone()),
        ];
        let body = match &why.explanation[..] {
            "" => &why.message,
            explanation => explanation,
        };
        xml.text(name, &attributes, body)?;
    }
    if let Some(output) = &case.output {
        xml.text("system-out", &[], output)?;
    }
    xml.close("testcase")
}

#[cfg(test)]
#[path = "../../tests/common/junit.rs"]
pub(crate) mod read_back;
