//! Every command line that README.md shows is one that kalive takes.
use clap::Parser as _;
use kalive::cli::Cli;

const README: &str = include_str!("../README.md");

/// Each `kalive ...` of a line of shell, without what stands before and behind it.
fn commands(line: &str) -> Vec<Vec<String>> {
    let line = line.split(" #").next().unwrap_or_default();
    line.split(['|', ';', '>'])
        .filter_map(|command| {
            let words = shlex::split(command.trim())?;
            let start = words.iter().position(|word| word == "kalive")?;
            Some(words.into_iter().skip(start).collect::<Vec<_>>())
        })
        .collect()
}

fn parse(words: &[String]) {
    if let Err(wrong) = Cli::try_parse_from(words) {
        // Help and the version are no errors.
        assert!(!wrong.use_stderr(), "{words:?}: {wrong}");
    }
    // What kalive lab runs may be kalive again.
    if let Some(end) = words.iter().position(|word| word == "--") {
        let inner = words.get(end + 1..).unwrap_or_default();
        if inner.first().is_some_and(|word| word == "kalive") {
            parse(inner);
        }
    }
}

#[test]
fn what_the_readme_shows_is_taken() {
    let mut shown = 0;
    let mut language = None;
    for line in README.lines() {
        match (line.strip_prefix("```"), language) {
            (Some(_), Some(_)) => language = None,
            (Some(opened), None) => language = Some(opened),
            (None, Some("sh" | "console")) => {
                let is_shell = language == Some("sh") || line.starts_with("$ ");
                for words in commands(line).iter().filter(|_| is_shell) {
                    shown += 1;
                    parse(words);
                }
            }
            (None, Some(_) | None) => {}
        }
    }
    assert!(shown > 15, "only {shown} commands were found");
}
