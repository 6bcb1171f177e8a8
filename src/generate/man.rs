//! Manual pages: what clap_mangen makes of the command line, with the examples, the exit status and the notes
//! of its help as sections of their own, what else a reader asks for, and laid out so that `mandoc -Tlint` has nothing
//! to say.

use std::fmt::Write as _;
use std::io;

use clap_mangen::Man;
use serde_json::Value;

use super::jq::{self, Jq};
use super::roff::{clean, escaped};
use super::{fields, overview};

/// When the pages were last changed in their substance.
const DATE: &str = "2026-11-22";

/// The page of a command that has been built, and what it prints as JSON.
pub(super) fn page(command: &clap::Command, schema: Option<&Value>) -> io::Result<Vec<u8>> {
    let name = command
        .get_bin_name()
        .unwrap_or_else(|| command.get_name())
        .replace(' ', "-");
    let notes = command
        .get_after_long_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let whole = command.has_subcommands();
    // clap_mangen leaves out what only the long help explains.
    let shown = command
        .clone()
        .mut_args(|arg| arg.hide_short_help(false))
        .after_long_help(None::<&str>)
        .after_help(None::<&str>);
    // Help has no page of its own.
    let shown = if whole {
        shown
            .mut_subcommand("help", |help| help.hide(true))
            .subcommand_value_name("SUBCOMMAND")
    } else {
        shown
    };
    let man = Man::new(shown)
        .title(name.to_uppercase())
        .date(DATE)
        .source(concat!("kalive ", env!("CARGO_PKG_VERSION")))
        .manual("kalive manual");
    let mut made = Vec::new();
    man.render_title(&mut made)?;
    man.render_name_section(&mut made)?;
    man.render_synopsis_section(&mut made)?;
    man.render_description_section(&mut made)?;
    man.render_options_section(&mut made)?;
    if whole {
        man.render_subcommands_section(&mut made)?;
    }
    let mut made = String::from_utf8_lossy(&made).into_owned();
    let subcommand = command.get_name();
    let mut parts = parts(&notes);
    push_jq(&mut parts.examples, jq::examples(subcommand));
    if whole {
        push_section(&mut made, "QUESTIONS", &overview::questions());
        parts.status = overview::exit_status();
    }
    push_section(&mut made, "NOTES", &parts.others);
    if let Some(schema) = schema {
        made.push_str(&fields::sections(subcommand, schema));
    }
    push_section(&mut made, "EXIT STATUS", &parts.status);
    push_section(&mut made, "ENVIRONMENT", &overview::environment(subcommand));
    push_section(&mut made, "FILES", &overview::files(subcommand));
    push_section(&mut made, "EXAMPLES", &parts.examples);
    push_section(&mut made, "SEE ALSO", &see_also(command));
    Ok(clean(&made).into_bytes())
}

fn push_section(page: &mut String, title: &str, text: &str) {
    if !text.is_empty() {
        let _ = writeln!(page, ".SH {title}\n{}", text.trim_end());
    }
}

/// What a help's last part has for sections of the page, ready to be printed.
#[derive(Debug, Default)]
struct Parts {
    examples: String,
    status: String,
    others: String,
}

/// The paragraphs of a help's last part: those that have a title become sections, the others notes.
fn parts(notes: &str) -> Parts {
    let mut parts = Parts::default();
    for paragraph in notes
        .split("\n\n")
        .filter(|paragraph| !paragraph.is_empty())
    {
        if let Some(lines) = paragraph.strip_prefix("Examples:\n") {
            for line in lines.lines() {
                push_example(&mut parts.examples, line);
            }
        } else if let Some(text) = paragraph.strip_prefix("Exit status: ") {
            let _ = writeln!(parts.status, "{}", escaped(text));
        } else {
            let gap = if parts.others.is_empty() { "" } else { ".PP\n" };
            let _ = writeln!(
                parts.others,
                "{gap}{}",
                escaped(&paragraph.replace('\n', " "))
            );
        }
    }
    parts
}

/// An example: the command, and behind two or more spaces, or further in on the next line, what it is for.
fn push_example(target: &mut String, line: &str) {
    let (command, purpose) = match line.trim().split_once("  ") {
        Some((command, purpose)) => (command, purpose.trim()),
        None if line.starts_with("    ") => ("", line.trim()),
        None => (line.trim(), ""),
    };
    if !command.is_empty() {
        let _ = writeln!(target, ".TP\n\\fB{}\\fR", escaped(command));
    }
    if !purpose.is_empty() {
        let _ = writeln!(target, "{}", escaped(purpose));
    }
}

/// Questions that jq answers, with the lines as they are to be typed.
fn push_jq(target: &mut String, examples: &[Jq]) {
    for example in examples {
        let typed = format!(
            "{} |\n  jq {}{}'{}'",
            example.command,
            example.options,
            if example.options.is_empty() { "" } else { " " },
            example.filter
        );
        let _ = write!(
            target,
            ".PP\n{}\n.PP\n.RS 4\n.EX\n{}\n.EE\n.RE\n",
            escaped(example.question),
            escaped(&typed)
        );
    }
}

fn see_also(command: &clap::Command) -> String {
    let own = command.get_name();
    let pages: Vec<String> = command
        .get_subcommands()
        .map(clap::Command::get_name)
        .filter(|name| *name != "help")
        .map(|name| format!("kalive-{name}"))
        .collect();
    let pages = if pages.is_empty() {
        let related = overview::related(own).iter();
        let related = related.map(|name| format!("kalive-{name}"));
        std::iter::once(String::from("kalive"))
            .chain(related)
            .collect()
    } else {
        pages
    };
    let others = overview::see_also(own).iter().map(|&page| page.to_owned());
    let all: Vec<String> = pages
        .iter()
        .map(|page| format!("{page}(1)"))
        .chain(others)
        .collect();
    format!("{}\n", escaped(&all.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_becomes_sections() {
        let notes = "Some 'note'.\n\nExamples:\n  kalive x -s   what for\n  kalive y\n      why\n\nExit status: 0 well; 1 not.";
        let expected = ".SH NOTES\nSome \\(aqnote\\(aq.\n\
            .SH EXIT STATUS\n0 well; 1 not.\n\
            .SH EXAMPLES\n.TP\n\\fBkalive x \\-s\\fR\nwhat for\n\
            .TP\n\\fBkalive y\\fR\nwhy\n";
        let parts = parts(notes);
        let mut page = String::new();
        push_section(&mut page, "NOTES", &parts.others);
        push_section(&mut page, "EXIT STATUS", &parts.status);
        push_section(&mut page, "EXAMPLES", &parts.examples);
        assert_eq!(page, expected);
    }
}
