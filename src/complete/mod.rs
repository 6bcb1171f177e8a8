//! What a shell offers behind TAB: clap's engine knows the command line, this adds what only the machine
//! knows: its processes, users, namespaces, interfaces and hosts. Answers nothing else and changes nothing.

mod hosts;
mod live;

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::{Arg, Command, CommandFactory as _};
use clap_complete::CompletionCandidate;
use clap_complete::engine::ArgValueCandidates;

use crate::cli::Cli;
use crate::generate;

/// Where to look.
#[derive(Clone, Debug)]
pub struct Places {
    /// The root of the file system, with proc, etc and run below it.
    pub root: PathBuf,
    /// The user's own directory, with .ssh in it.
    pub home: Option<PathBuf>,
}

/// A value to offer, and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Offer {
    value: String,
    about: Option<String>,
}

impl Offer {
    fn plain(value: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            about: None,
        }
    }
}

type Look = fn(&Places) -> Vec<Offer>;

/// The command line with what this machine has to offer for its values.
#[must_use]
pub fn command(places: &Places) -> Command {
    let offer = |look: Look| {
        let places = places.clone();
        move |arg: Arg| {
            arg.add(ArgValueCandidates::new(move || {
                look(&places).into_iter().filter_map(candidate).collect()
            }))
        }
    };
    Cli::command()
        .mut_subcommand("inspect", |inspect| {
            inspect
                .mut_arg("pid", offer(live::pids))
                .mut_arg("process", offer(live::names))
                .mut_arg("user", offer(live::users))
                .mut_arg("netns", offer(live::namespaces))
        })
        .mut_subcommand("probe", |probe| {
            probe
                .mut_arg("targets", offer(hosts::with_colon))
                .mut_arg("interface", offer(live::interfaces))
        })
        .mut_subcommand("hold", |hold| {
            hold.mut_arg("target", offer(hosts::plain))
                .mut_arg("interface", offer(live::interfaces))
        })
        .mut_subcommand("man", |man| man.mut_arg("page", offer(pages)))
}

/// Names come from outside: one that would move the terminal's cursor, or look like two, is not offered.
fn candidate(offer: Offer) -> Option<CompletionCandidate> {
    let printable = |text: &str| !text.is_empty() && !text.contains(char::is_control);
    let about = offer.about.filter(|about| printable(about));
    printable(&offer.value)
        .then(|| CompletionCandidate::new(OsStr::new(&offer.value)).help(about.map(Into::into)))
}

fn pages(_: &Places) -> Vec<Offer> {
    generate::page_names().map(Offer::plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap_complete::engine::complete;

    fn offered(places: &Places, line: &str) -> Vec<String> {
        let words: Vec<_> = line.split(' ').map(Into::into).collect();
        let last = words.len() - 1;
        complete(&mut command(places), words, last, None)
            .unwrap()
            .into_iter()
            .map(|candidate| candidate.get_value().to_string_lossy().into_owned())
            .collect()
    }

    fn nowhere() -> Places {
        Places {
            root: PathBuf::from("/nonexistent"),
            home: None,
        }
    }

    #[test]
    fn what_clap_knows() {
        for (line, expected) in [
            ("kalive ins", "inspect"),
            ("kalive inspect --sta", "--state"),
            ("kalive inspect --state esta", "established"),
            ("kalive inspect --state=esta", "--state=established"),
            (
                "kalive inspect --state established,liste",
                "established,listen",
            ),
            ("kalive inspect --columns local,pe", "local,peer"),
            ("kalive probe --require unres", "unresponsive"),
            ("kalive completions fi", "fish"),
            ("kalive man ser", "serve"),
            ("kalive -o ndj", "ndjson"),
        ] {
            assert_eq!(offered(&nowhere(), line), [expected], "{line}");
        }
    }

    #[test]
    fn a_machine_that_tells_nothing_offers_nothing() {
        for line in [
            "kalive inspect --pid ",
            "kalive inspect --process ",
            "kalive inspect --user ",
            "kalive inspect --netns ",
            "kalive hold --interface ",
        ] {
            assert!(offered(&nowhere(), line).is_empty(), "{line}");
        }
    }

    #[test]
    fn a_name_that_is_not_one_line_of_text_is_not_offered() {
        for name in ["", "a\nb", "\x1b[2J"] {
            assert!(candidate(Offer::plain(name)).is_none(), "{name:?}");
        }
        assert!(candidate(Offer::plain("tmux: server")).is_some());
    }
}
