//! What a user in trouble reads: the short help on one screen, the long one with examples, and errors that
//! say what to do next.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use clap::CommandFactory as _;
use common::{kalive, run};
use kalive::cli::Cli;

const COMMANDS: [&str; 8] = [
    "",
    "inspect",
    "probe",
    "hold",
    "lab",
    "serve",
    "completions",
    "man",
];

/// The help at a width of 80 columns.
fn help(command: &str, flag: &str) -> String {
    let words = command.split_whitespace().chain([flag]);
    let output = kalive().args(words).env("COLUMNS", "80").output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_commands_are_these() {
    let mut command = Cli::command();
    command.build();
    let names = command.get_subcommands().map(clap::Command::get_name);
    let tested = COMMANDS.into_iter().filter(|name| !name.is_empty());
    assert!(names.filter(|name| *name != "help").eq(tested));
}

#[test]
fn short_help_fits_a_screen() {
    for command in COMMANDS {
        let text = help(command, "-h");
        let lines = text.lines().count();
        assert!(
            lines <= 24,
            "kalive {command} -h has {lines} lines:\n{text}"
        );
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "kalive {command} -h: {line}");
        }
    }
}

#[test]
fn long_help_has_examples_whole() {
    for command in COMMANDS {
        let text = help(command, "--help");
        for line in text.lines() {
            assert!(
                line.chars().count() <= 80,
                "kalive {command} --help: {line}"
            );
        }
        let mut all = Cli::command();
        all.build();
        let described = all.find_subcommand(command).unwrap_or(&all);
        let notes = described.get_after_long_help().unwrap().to_string();
        let (_, examples) = notes.split_once("Examples:\n").unwrap();
        for example in examples.lines().take_while(|line| !line.is_empty()) {
            assert!(text.lines().any(|line| line == example), "{example}");
        }
    }
}

/// Every example in the help is a call that kalive takes.
#[test]
fn examples_can_be_called() {
    let mut all = Cli::command();
    all.build();
    let commands = std::iter::once(&all).chain(all.get_subcommands());
    let mut tried = 0;
    for notes in commands.filter_map(clap::Command::get_after_long_help) {
        let notes = notes.to_string();
        let calls = notes.lines().filter_map(|line| {
            let line = line.strip_prefix("  ")?;
            let line = line.strip_prefix("sudo ").unwrap_or(line);
            line.starts_with("kalive ").then_some(line)
        });
        for call in calls {
            let call = call.split("  ").next().unwrap();
            let call = call.split(['|', '>']).next().unwrap();
            if let Err(error) = Cli::command().try_get_matches_from(call.split_whitespace()) {
                let is_help = error.kind() == clap::error::ErrorKind::DisplayHelp;
                assert!(is_help, "{call}: {error}");
            }
            tried += 1;
        }
    }
    assert!(tried > 25, "only {tried}");
}

/// A wrong call, and what the error has to say.
const WRONG: [(&str, &str); 41] = [
    ("inspct", "a similar subcommand exists: 'inspect'"),
    ("inspect --wach 1s", "a similar argument exists: '--watch'"),
    ("inspect -o jsn", "a similar value exists: 'json'"),
    (
        "inspect --state establshed",
        "a similar value exists: 'established'",
    ),
    (
        "inspect -s --columns lcal",
        "a similar value exists: 'local'",
    ),
    ("inspect -s --sort ilde", "a similar value exists: 'idle'"),
    (
        "inspect --survives 350",
        "a unit is missing: write 350s, 350m or 350ms",
    ),
    ("inspect --survives 0s", "it must be longer than 0s"),
    (
        "inspect --columns local",
        "--columns is about the rows of -s: add -s",
    ),
    (
        "inspect --sort idle",
        "--sort is about the rows of -s: add -s",
    ),
    (
        "inspect --top 3",
        "add --survives, such as --survives 350s, or -o openmetrics",
    ),
    ("inspect --strict", "--survives <DURATION>"),
    ("inspect --textfile x", "add -o openmetrics"),
    ("inspect --peer db", "'db' is not an address; write ADDRESS"),
    (
        "inspect --peer ::1:22",
        "could be two things: [::1]:22, or [::1:22]",
    ),
    ("inspect --user no-such-user", "give a name or a number"),
    (
        "inspect --netns no-such",
        "give a PID, a path, or a name that 'ip netns' lists",
    ),
    (
        "inspect --proc /",
        "/ has no net/tcp: --proc takes a copy of /proc",
    ),
    ("probe", "<TARGET>..."),
    ("probe db", "a port is missing: write db:443"),
    ("probe ::1", "a port is missing: write [::1]:443"),
    ("probe ::1:22", "write [::1]:22 if 22 is the port"),
    ("probe http://db:80", "write only host:port, as in db:443"),
    (
        "probe a:1 --idle 5",
        "a unit is missing: write 5s, 5m or 5ms",
    ),
    ("probe a:1 --idle 5x", "'x' is no unit: write it like 90s"),
    ("probe a:1 --idle 1500ms", "it takes whole seconds from 1s"),
    ("probe a:1 --count 200", "it takes 1 to 127"),
    ("probe a:1 --system --idle 5s", "cannot be used with"),
    ("probe a:1 --heartbeat 2s", "--heartbeat-preset <PROTOCOL>"),
    (
        "probe a:1 --in-flight --heartbeat 2s --send x",
        "cannot be used with",
    ),
    (
        "probe a:1 --require unresponsive",
        "with --send or --heartbeat-preset",
    ),
    ("probe a:1 -4 --bind ::1", "--bind ::1 is not of the family"),
    ("probe a:1 -o openmetrics", "take table, json or ndjson"),
    ("hold a:1 -6 --bind 127.0.0.1", "is not of the family"),
    (
        "hold ::1:22",
        "write [::1]:22 if 22 is the port, else [::1:22]",
    ),
    ("lab --nat-timeout 0s", "a NAT timeout of 0s cannot be set"),
    ("lab --loss 200", "write a percentage from 0 to 100"),
    ("lab -o json -- true", "leave one of them out"),
    ("serve --listen 7117", "such as 127.0.0.1:7117 or [::]:7117"),
    ("serve --allow :80", "write ADDRESS or ADDRESS/LENGTH"),
    ("man inspekt", "write completions, hold, inspect"),
];

#[test]
fn a_wrong_call_is_told_what_would_be_right() {
    for (line, expected) in WRONG {
        let output = run(line);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "kalive {line}: {said}");
        assert!(output.stdout.is_empty(), "kalive {line}");
        assert!(said.starts_with("kalive: "), "kalive {line}: {said}");
        assert!(said.contains(expected), "kalive {line}: {said}");
        assert!(!said.contains('\x1b'), "kalive {line}: {said}");
    }
}

#[test]
fn errors_are_coloured_alike() {
    let coloured = "\x1b[1m\x1b[31mkalive:\x1b[0m ";
    for line in ["inspect --columns local --color always", "inspct"] {
        let words = line.split_whitespace();
        let output = kalive().args(words).env("CLICOLOR_FORCE", "1").output();
        let said = String::from_utf8(output.unwrap().stderr).unwrap();
        assert!(said.starts_with(coloured), "{said:?}");
    }
    let never = run("inspect --columns local --color never").stderr;
    assert!(never.starts_with(b"kalive: "));
}

#[test]
fn a_port_that_is_taken_says_how_to_find_by_whom() {
    let taken = common::listener(std::net::Ipv4Addr::LOCALHOST);
    let address = taken.local_addr().unwrap();
    let output = run(&format!("serve --listen {address}"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    let advice = format!(
        "kalive inspect -s --state listen --local :{}",
        address.port()
    );
    assert!(said.contains(&advice), "{said}");
}

/// A user namespace in which no further one may be made stands for a machine that forbids them.
#[test]
fn where_user_namespaces_are_off_the_sysctl_is_named() {
    let limited = |command: &str| {
        let script = format!("echo 0 >/proc/sys/user/max_user_namespaces && exec {command}");
        let mut unshare = std::process::Command::new("unshare");
        unshare.args(["-Ur", "sh", "-c", &script]).output().unwrap()
    };
    if !limited("true").status.success() {
        println!("skipped: no user namespace can be made");
        return;
    }
    let output = limited(concat!(
        // Without capabilities the lab needs a user namespace of its own.
        "setpriv --bounding-set=-all --inh-caps=-all ",
        env!("CARGO_BIN_EXE_kalive"),
        " lab -- true"
    ));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    let advice = "user.max_user_namespaces is 0: set it higher with sysctl, or run with sudo";
    assert!(said.contains(advice), "{said}");
}

/// In a checkout the program says which commit it is; anywhere else it does not have to.
#[test]
fn the_version_is_that_of_the_commit() {
    let root = env!("CARGO_MANIFEST_DIR");
    let git = |arguments: &[&str]| {
        let mut git = std::process::Command::new("git");
        let output = git.arg("-C").arg(root).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).unwrap();
        output.status.success().then(|| text.trim().to_owned())
    };
    let (short, long) = (common::stdout("-V"), common::stdout("--version"));
    let version = format!("kalive {}", env!("CARGO_PKG_VERSION"));
    assert!(short.starts_with(&version));
    assert!(long.starts_with(&format!("{version}\n")));
    assert!(
        long.contains("\ntarget: ") && long.contains("linux"),
        "{long}"
    );
    assert!(long.ends_with("\nfeatures: none\n"), "{long}");
    if git(&["rev-parse", "--show-toplevel"]).as_deref() == Some(root) {
        let commit = git(&["show", "--no-patch", "--format=%h", "HEAD"]).unwrap();
        let date = git(&["show", "--no-patch", "--format=%cs", "HEAD"]).unwrap();
        assert_eq!(short, format!("{version} ({commit})\n"));
        assert!(
            long.contains(&format!("\ncommit: {commit} ({date})\n")),
            "{long}"
        );
    }
}
