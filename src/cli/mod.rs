//! The command line: clap types and value parsers, nothing else. No later module sees what clap made of it
//! but these plain structures.

pub mod hold;
pub mod inspect;
pub mod lab;
pub mod probe;
pub mod serve;
pub mod target;
pub mod values;
mod version;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

const FOOTER: &str = "\
Where to begin:
  kalive inspect                  which settings hold, what do they protect?
  kalive inspect --survives 350s  who outlives a firewall that forgets then?
  kalive probe HOST:PORT          how soon is a dead peer noticed?
  kalive hold HOST:PORT           how long does the path remember silence?

kalive COMMAND -h shows the main options, --help all of them, with examples.";

const AFTER_HELP: &str = "\
Exit status: 0 what was asked holds; 1 the answer is negative; 2 it could not be measured or the call \
was wrong; 130 or 143 after SIGINT or SIGTERM, with the report so far.

Examples:
  kalive inspect                  which settings hold, what do they protect?
  kalive inspect --survives 350s  who outlives a firewall that forgets then?
  kalive probe db.example:5432    how soon is a dead peer noticed?
  kalive hold db.example:5432     how long does the path remember silence?
  kalive lab                      see all of it on a network made for that
  kalive help inspect             the same as kalive inspect --help";

const COMPLETIONS_HELP: &str = "\
The scripts ask kalive itself, which has to be in PATH, so that they also know processes, users, network namespaces, \
interfaces and hosts.

Examples:
  kalive completions bash >~/.local/share/bash-completion/completions/kalive
      for bash with bash-completion
  kalive completions zsh >~/.zfunc/_kalive
      for zsh, where .zshrc has fpath+=~/.zfunc before compinit
  kalive completions fish >~/.config/fish/completions/kalive.fish
      for fish";

const MAN_HELP: &str = "\
Examples:
  kalive man inspect | man -l -
      read the page of kalive inspect
  kalive man >kalive.1
      keep that of kalive";

/// The environment variable by which a completion script asks; its value names the shell.
pub const COMPLETION_VARIABLE: &str = "KALIVE_COMPLETE";

/// Diagnose TCP keepalive on Linux: live sockets, dead peers, forgetful middleboxes.
#[derive(Clone, Debug, Parser)]
#[command(name = "kalive", version = version::short(), long_version = version::long(), after_help = FOOTER, after_long_help = AFTER_HELP)]
#[command(
    arg_required_else_help = true,
    disable_help_flag = true,
    max_term_width = 100
)]
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
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT", default_value_t = OutputChoice::Table, hide_short_help = true)]
    pub output: OutputChoice,
    /// When to colour what is printed: auto (on a terminal, unless NO_COLOR is set), always or never
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = When::Auto, hide_short_help = true)]
    #[arg(hide_possible_values = true)]
    pub color: When,
    /// When to tell on stderr how a long run goes: auto (on a terminal), always or never
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = When::Auto, hide_short_help = true)]
    #[arg(hide_possible_values = true)]
    pub progress: When,
    /// Print help; -h is short
    #[arg(short, long, global = true, action = ArgAction::Help, hide_short_help = true)]
    help: Option<bool>,
}

/// The same for a subcommand that knows these formats.
#[derive(Clone, Copy, Debug)]
pub struct Global<F> {
    /// How to print the result.
    pub output: F,
    /// When to colour it.
    pub color: When,
    /// When to tell how a long run goes.
    pub progress: When,
}

impl GlobalArgs {
    /// The options of a subcommand that has a report and no verdict.
    ///
    /// # Errors
    /// What would be right, if a format is asked for that it does not know.
    pub fn of_report(self) -> Result<Global<Output>, String> {
        self.known(|output| match output {
            TestOutput::Report(output) => Ok(output),
            TestOutput::Junit => Err(String::from(
                "-o junit is for kalive probe, hold and inspect --survives: take table, json or ndjson",
            )),
        })
    }

    /// The options of a subcommand whose report is a verdict too, which a CI job can take for a test.
    ///
    /// # Errors
    /// What would be right, if a format is asked for that it does not know.
    pub fn of_test(self) -> Result<Global<TestOutput>, String> {
        self.known(Ok)
    }

    fn known<F>(
        self,
        known: impl FnOnce(TestOutput) -> Result<F, String>,
    ) -> Result<Global<F>, String> {
        let output = match self.output {
            OutputChoice::Table => TestOutput::Report(Output::Table),
            OutputChoice::Json => TestOutput::Report(Output::Json),
            OutputChoice::Ndjson => TestOutput::Report(Output::Ndjson),
            OutputChoice::Junit => TestOutput::Junit,
            OutputChoice::Openmetrics => {
                return Err(String::from(
                    "-o openmetrics is for kalive inspect only: take table, json or ndjson",
                ));
            }
        };
        Ok(Global {
            output: known(output)?,
            color: self.color,
            progress: self.progress,
        })
    }
}

/// A subcommand.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Show keepalive settings and which TCP connections they protect
    Inspect(inspect::InspectArgs),
    /// See how soon this host notices a dead peer, and with which error
    Probe(probe::ProbeArgs),
    /// Measure how long a path remembers a silent connection
    #[command(long_about = "\
        Measure after how much silence a path forgets a connection, and which keepalive settings \
        prevent that")]
    Hold(hold::HoldArgs),
    /// Run a program, or a demonstration, behind a NAT made for it
    #[command(long_about = "\
        Run a program, or a demonstration, on a private network with a NAT whose behaviour is known")]
    Lab(lab::LabArgs),
    /// Be the far end of kalive hold: hold sessions, echo, speak
    Serve(serve::ServeArgs),
    /// Print the completion script of a shell
    #[command(after_long_help = COMPLETIONS_HELP)]
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print a manual page
    #[command(after_long_help = MAN_HELP)]
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
    /// JUnit XML, for CI jobs (probe, hold and inspect --survives)
    Junit,
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

/// The format of a report that is a verdict too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestOutput {
    /// The report.
    Report(Output),
    /// JUnit XML at the end.
    Junit,
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
