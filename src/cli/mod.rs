//! The command line: clap types and value parsers, nothing else. No later module sees what clap made of it
//! but these plain structures.

pub mod hold;
pub mod inspect;
pub mod lab;
pub mod probe;
pub mod serve;
pub mod target;
pub mod values;

use clap::{Args, Parser, Subcommand, ValueEnum};

const AFTER_HELP: &str = "\
Exit status: 0 what was asked holds; 1 the answer is negative; 2 it could not be measured or the call \
was wrong; 130 or 143 after SIGINT or SIGTERM, with the report so far.";

/// Diagnose TCP keepalive on Linux: live sockets, dead peers, forgetful middleboxes.
#[derive(Clone, Debug, Parser)]
#[command(name = "kalive", version, after_help = AFTER_HELP, max_term_width = 100)]
#[command(arg_required_else_help = true, infer_subcommands = false)]
pub struct Cli {
    /// What holds for every subcommand.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every subcommand, as they are given.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct GlobalArgs {
    /// How to print the result
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT", default_value_t = OutputChoice::Table)]
    pub output: OutputChoice,
    /// When to colour the result (also: the environment variable NO_COLOR)
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = When::Auto)]
    pub color: When,
    /// When to tell on stderr how a long run goes
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = When::Auto)]
    pub progress: When,
}

/// The same for a subcommand that has a report and no metrics.
#[derive(Clone, Copy, Debug)]
pub struct Global {
    /// How to print the result.
    pub output: Output,
    /// When to colour it.
    pub color: When,
    /// When to tell how a long run goes.
    pub progress: When,
}

impl GlobalArgs {
    /// The options of a subcommand that has no metrics.
    ///
    /// # Errors
    /// What would be right, if metrics are asked for.
    pub fn without_metrics(self) -> Result<Global, String> {
        let output = match self.output {
            OutputChoice::Table => Output::Table,
            OutputChoice::Json => Output::Json,
            OutputChoice::Ndjson => Output::Ndjson,
            OutputChoice::Openmetrics => {
                return Err(String::from(
                    "-o openmetrics is for kalive inspect only: take table, json or ndjson",
                ));
            }
        };
        Ok(Global {
            output,
            color: self.color,
            progress: self.progress,
        })
    }
}

/// A subcommand.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Show this machine's keepalive settings and which TCP connections they protect
    Inspect(inspect::InspectArgs),
    /// Connect, and see how soon this host notices a dead peer, and with which error
    Probe(probe::ProbeArgs),
    /// Measure after how much silence a path forgets a connection, and which keepalive settings prevent that
    Hold(hold::HoldArgs),
    /// Run a program, or a demonstration, on a private network with a NAT whose behaviour is known
    Lab(lab::LabArgs),
    /// Be the far end of kalive hold: hold sessions, echo, speak when told to
    Serve(serve::ServeArgs),
    /// Print the completion script of a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print a manual page
    Man {
        /// The page: kalive itself, or one of its subcommands
        #[arg(value_name = "SUBCOMMAND")]
        page: Option<String>,
    },
}

/// The format of the result, as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputChoice {
    /// For people
    Table,
    /// One JSON document at the end
    Json,
    /// One JSON event a line as it happens, the report last
    Ndjson,
    /// Gauges, such as for the textfile collector of node_exporter (inspect only)
    Openmetrics,
}

/// The format of a report on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Table,
    /// One JSON document at the end.
    Json,
    /// One JSON event a line as it happens, the report last.
    Ndjson,
}

/// When to do something that suits a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl When {
    /// Decides: `suitable` is what `auto` comes to.
    #[must_use]
    pub fn decide(self, suitable: bool) -> bool {
        match self {
            Self::Auto => suitable,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// A shell that has a completion script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// For /usr/share/bash-completion/completions/kalive
    Bash,
    /// For a file of rc.elv
    Elvish,
    /// For /usr/share/fish/vendor_completions.d/kalive.fish
    Fish,
    /// For $PROFILE
    Powershell,
    /// For _kalive in a directory of fpath
    Zsh,
}
