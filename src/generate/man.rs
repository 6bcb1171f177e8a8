//! Manual pages: what clap_mangen makes of the command line, with the examples, the exit status and the notes
//! of its help as sections of their own, and laid out so that `mandoc -Tlint` has nothing to say.

use std::fmt::Write as _;
use std::io;

use clap_mangen::Man;

/// When the pages were last changed in their substance.
const DATE: &str = "2026-11-22";
/// Lines of text are broken here: mandoc asks for no more than 80 bytes.
const WIDTH: usize = 78;

/// The page of a command that has been built.
pub(super) fn page(command: &clap::Command) -> io::Result<Vec<u8>> {
    let name = command
        .get_bin_name()
        .unwrap_or_else(|| command.get_name())
        .replace(' ', "-");
    let notes = command
        .get_after_long_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    // clap_mangen leaves out what only the long help explains.
    let shown = command.clone().mut_args(|arg| arg.hide_short_help(false));
    let man = Man::new(shown.after_long_help(None::<&str>).after_help(None::<&str>))
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
    if command.has_subcommands() {
        man.render_subcommands_section(&mut made)?;
    }
    let made = String::from_utf8_lossy(&made);
    Ok(clean(&format!("{made}{}{}", sections(&notes), see_also(command))).into_bytes())
}

/// The paragraphs of a help's last part: those that have a title become sections, the others notes.
fn sections(notes: &str) -> String {
    let (mut examples, mut status, mut others) = (String::new(), String::new(), String::new());
    for paragraph in notes
        .split("\n\n")
        .filter(|paragraph| !paragraph.is_empty())
    {
        if let Some(lines) = paragraph.strip_prefix("Examples:\n") {
            lines
                .lines()
                .for_each(|line| push_example(&mut examples, line));
        } else if let Some(text) = paragraph.strip_prefix("Exit status: ") {
            let _ = writeln!(status, "{}", escaped(text));
        } else {
            let gap = if others.is_empty() { "" } else { ".PP\n" };
            let _ = writeln!(others, "{gap}{}", escaped(&paragraph.replace('\n', " ")));
        }
    }
    [
        ("NOTES", others),
        ("EXIT STATUS", status),
        ("EXAMPLES", examples),
    ]
    .into_iter()
    .filter(|(_, text)| !text.is_empty())
    .fold(String::new(), |mut all, (title, text)| {
        let _ = write!(all, ".SH {title}\n{text}");
        all
    })
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

fn see_also(command: &clap::Command) -> String {
    let mut pages: Vec<String> = command
        .get_subcommands()
        .map(clap::Command::get_name)
        .filter(|name| *name != "help")
        .map(|name| format!("kalive-{name}"))
        .collect();
    if pages.is_empty() {
        pages.push(String::from("kalive"));
    }
    let others = ["ss(8)", "tcp(7)", "sysctl(8)"];
    let all: Vec<String> = pages
        .iter()
        .map(|page| format!("{page}(1)"))
        .chain(others.map(String::from))
        .collect();
    format!(".SH SEE ALSO\n{}\n", escaped(&all.join(", ")))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq")
}

/// Takes out what clap_mangen leaves behind: spaces at the ends of lines, breaks around empty lines, and
/// lines that are too long.
fn clean(page: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    for line in page.lines().map(str::trim_end) {
        // An empty line is a break of its own, and breaks beside it are too many.
        if line == ".br" && lines.last() == Some(&".sp") {
            continue;
        }
        if line.is_empty() {
            if lines.last() == Some(&".br") {
                lines.pop();
            }
            lines.push(".sp");
        } else {
            lines.push(line);
        }
    }
    let mut text = String::with_capacity(page.len());
    for line in lines {
        push_wrapped(&mut text, line);
    }
    text
}

/// A line of text may be broken at a space, unless a word in front would then be taken for a macro.
fn push_wrapped(text: &mut String, line: &str) {
    if line.starts_with(['.', '\'']) || line.len() <= WIDTH {
        text.push_str(line);
        text.push('\n');
        return;
    }
    let mut used = 0;
    for word in line.split(' ') {
        if used == 0 {
            used = word.len();
        } else if used + 1 + word.len() > WIDTH && !word.starts_with(['.', '\'']) {
            text.push('\n');
            used = word.len();
        } else {
            text.push(' ');
            used += 1 + word.len();
        }
        text.push_str(word);
    }
    text.push('\n');
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
        assert_eq!(sections(notes), expected);
    }

    #[test]
    fn long_lines_are_broken_but_never_into_a_macro() {
        let mut text = String::new();
        push_wrapped(&mut text, &format!("{} .br word", "a".repeat(WIDTH - 2)));
        assert_eq!(text, format!("{} .br\nword\n", "a".repeat(WIDTH - 2)));
    }

    #[test]
    fn breaks_around_empty_lines_go() {
        assert_eq!(clean("a \n.br\n\n.br\nb"), "a\n.sp\nb\n");
    }
}
