//! Text as roff wants it, laid out so that `mandoc -Tlint` has nothing to say.

/// Lines of text are broken here: mandoc asks for no more than 80 bytes.
const WIDTH: usize = 78;

/// Text that roff takes as it is.
pub(super) fn escaped(text: &str) -> String {
    text.replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq")
}

/// Takes out what clap_mangen leaves behind: spaces at the ends of lines, breaks around empty lines, and
/// lines that are too long.
pub(super) fn clean(page: &str) -> String {
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
    let (mut tag, mut example) = (false, false);
    for line in lines {
        push_wrapped(&mut text, line, tag || example);
        tag = line == ".TP";
        example = line == ".EX" || (example && line != ".EE");
    }
    text
}

/// A line of text may be broken at a space, unless a word in front would then be taken for a macro. A `whole` one,
/// which is all that a tag or an example's line consists of, is put together again.
fn push_wrapped(text: &mut String, line: &str, whole: bool) {
    if line.starts_with(['.', '\'']) || line.len() <= WIDTH {
        text.push_str(line);
        text.push('\n');
        return;
    }
    let mut used = 0;
    for (index, word) in line.split(' ').enumerate() {
        if index == 0 {
            used = word.len();
        } else if used > 0 && used + 1 + word.len() > WIDTH && !word.starts_with(['.', '\'']) {
            text.push_str(if whole { " \\\n" } else { "\n" });
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
    fn long_lines_are_broken_but_never_into_a_macro() {
        let mut text = String::new();
        let long = "a".repeat(WIDTH - 2);
        push_wrapped(&mut text, &format!("{long} .br word"), false);
        assert_eq!(text, format!("{long} .br\nword\n"));
        assert_eq!(
            clean(&format!(".TP\n{long} word\n{long} word\n")),
            format!(".TP\n{long} \\\nword\n{long}\nword\n")
        );
    }

    #[test]
    fn breaks_around_empty_lines_go() {
        assert_eq!(clean("a \n.br\n\n.br\nb"), "a\n.sp\nb\n");
    }
}
