//! The completion scripts of completions/, loaded by the real shells: bash and zsh on a terminal with a user who
//! presses TAB, fish by what it offers.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::print_stdout, reason = "a test that is skipped says so")]

mod common;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use common::listener;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};

/// How long a shell may take for one answer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory with `kalive` in it, a home with hosts that ssh knows, and a copy of the scripts.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        for directory in ["bin", ".ssh", "archive/proc"] {
            std::fs::create_dir_all(path(directory)).unwrap();
        }
        symlink(env!("CARGO_BIN_EXE_kalive"), path("bin/kalive")).unwrap();
        let hosts = "db.kalive.example ssh-ed25519 A\nfd00::beef ssh-ed25519 A\n";
        std::fs::write(path(".ssh/known_hosts"), hosts).unwrap();
        Self(home)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// The shell with this home. Where there is none, the test says so and is over.
    fn shell(&self, name: &str, arguments: &[&str]) -> Option<Command> {
        if Command::new(name).args(["-c", "true"]).output().is_err() {
            println!("skipped: {name} is not installed");
            return None;
        }
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new(name);
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env(
                "PATH",
                format!("{}:{path}", self.path().join("bin").display()),
            )
            .env("HOME", self.path())
            .env("ZDOTDIR", self.path())
            .env("INPUTRC", "/dev/null")
            .env("TERM", "dumb");
        Some(command)
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("completions")
        .join(name)
}

/// A shell on a terminal.
struct Terminal {
    shell: Child,
    screen: File,
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

impl Terminal {
    /// Starts the shell and gives it the lines of `setup`, which make Ctrl-X p print the line being edited
    /// between < and >.
    fn start(mut shell: Command, setup: &str) -> Self {
        let size = Winsize {
            ws_row: 50,
            ws_col: 500,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(Some(&size), None).unwrap();
        shell
            .stdin(pty.slave.try_clone().unwrap())
            .stdout(pty.slave.try_clone().unwrap())
            .stderr(pty.slave);
        let mut terminal = Self {
            shell: shell.spawn().unwrap(),
            screen: File::from(pty.master),
        };
        terminal.screen.write_all(setup.as_bytes()).unwrap();
        terminal.screen.write_all(b"echo re''ady\n").unwrap();
        terminal.read_until("ready");
        terminal
    }

    /// What the line is after it has been typed and TAB pressed.
    fn completed(&mut self, line: &str) -> String {
        write!(self.screen, "{line}\t\x18p").unwrap();
        let printed = self.read_until(">");
        // The line is then given up.
        self.screen.write_all(b"\x15").unwrap();
        printed.rsplit_once('<').unwrap().1.to_owned()
    }

    fn read_until(&mut self, end: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        while !seen.ends_with(end.as_bytes()) {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut waiting = [PollFd::new(self.screen.as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut waiting, PollTimeout::try_from(left).unwrap()).unwrap();
            assert!(ready > 0, "no {end}: {}", String::from_utf8_lossy(&seen));
            let mut byte = [0];
            self.screen.read_exact(&mut byte).unwrap();
            seen.push(byte[0]);
        }
        seen.truncate(seen.len() - end.len());
        String::from_utf8_lossy(&seen).into_owned()
    }
}

/// What is typed, and the line after TAB.
const CASES: [(&str, &str); 22] = [
    ("kalive ins", "kalive inspect "),
    ("kalive inspect --sta", "kalive inspect --state "),
    (
        "kalive inspect --state estab",
        "kalive inspect --state established ",
    ),
    (
        "kalive inspect --state=estab",
        "kalive inspect --state=established ",
    ),
    (
        "kalive inspect --state listen,time",
        "kalive inspect --state listen,time-wait ",
    ),
    (
        "kalive inspect -s --columns local,pe",
        "kalive inspect -s --columns local,peer ",
    ),
    (
        "kalive inspect --source=net",
        "kalive inspect --source=netlink ",
    ),
    ("kalive -o ndj", "kalive -o ndjson "),
    ("kalive inspect -o openm", "kalive inspect -o openmetrics "),
    ("kalive probe --require unre", "kalive probe --require unre"),
    (
        "kalive probe --require unresp",
        "kalive probe --require unresponsive ",
    ),
    (
        "kalive lab --on-expiry fo",
        "kalive lab --on-expiry forget ",
    ),
    ("kalive man ser", "kalive man serve "),
    ("kalive completions fi", "kalive completions fish "),
    ("kalive help compl", "kalive help completions "),
    ("kalive inspect --user roo", "kalive inspect --user root "),
    ("kalive hold --interface l", "kalive hold --interface lo "),
    // A port must follow; the name alone will do where there is a default.
    ("kalive probe db.kal", "kalive probe db.kalive.example:"),
    ("kalive hold db.kal", "kalive hold db.kalive.example "),
    (
        "kalive probe db.kalive.example:54",
        "kalive probe db.kalive.example:54",
    ),
    (
        "kalive inspect --proc arch",
        "kalive inspect --proc archive/",
    ),
    (
        "kalive serve --nothing-like-it",
        "kalive serve --nothing-like-it",
    ),
];

/// A process with a space in its name that holds a TCP socket.
struct Spaced(Child);

impl Spaced {
    fn new(home: &Home) -> Self {
        let program = home.path().join("bin/ka live");
        symlink("/bin/sleep", &program).unwrap();
        let listener = listener(Ipv4Addr::LOCALHOST);
        let mut sleep = Command::new(program);
        sleep.arg("120").stdin(OwnedFd::from(listener));
        Self(sleep.spawn().unwrap())
    }
}

impl Drop for Spaced {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn check(home: &Home, name: &str, terminal: &mut Terminal) {
    for (typed, expected) in CASES {
        assert_eq!(terminal.completed(typed), expected, "{name}: {typed}");
    }
    let spaced = Spaced::new(home);
    let pid = format!("kalive inspect --pid {}", spaced.0.id());
    for (typed, expected) in [
        (pid.as_str(), pid.clone() + " "),
        (
            "kalive inspect --process ka",
            String::from(r"kalive inspect --process ka\ live "),
        ),
    ] {
        assert_eq!(terminal.completed(typed), expected, "{name}: {typed}");
    }
}

#[test]
fn bash() {
    let home = Home::new();
    let Some(shell) = home.shell("bash", &["--norc", "--noprofile", "-i"]) else {
        return;
    };
    let setup = format!(
        "set +o history; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'\n\
         show() {{ printf '<%s>' \"$READLINE_LINE\"; }}\nbind -x '\"\\C-xp\": show'\nsource {}\n",
        script("kalive.bash").display()
    );
    let mut terminal = Terminal::start(shell, &setup);
    check(&home, "bash", &mut terminal);
    let others = Path::new("/usr/share/bash-completion/bash_completion");
    if !others.exists() {
        println!("skipped: bash-completion is not installed");
        return;
    }
    writeln!(terminal.screen, "source {}", others.display()).unwrap();
    behind_dashes("bash", &mut terminal);
}

#[test]
fn zsh() {
    let home = Home::new();
    let Some(shell) = home.shell("zsh", &["-f", "-i"]) else {
        return;
    };
    let directory = script("_kalive").parent().unwrap().display().to_string();
    let setup = format!(
        "unsetopt zle_bracketed_paste prompt_sp; bindkey -e; fpath=({directory} $fpath)\n\
         autoload -U compinit; compinit -u -D; setopt no_beep no_auto_menu no_list_ambiguous\n\
         show() {{ printf '<%s>' \"$BUFFER\"; }}; zle -N show; bindkey '^Xp' show\n"
    );
    let mut terminal = Terminal::start(shell, &setup);
    check(&home, "zsh", &mut terminal);
    behind_dashes("zsh", &mut terminal);
}

/// Behind -- stands a command of its own: here kalive again.
fn behind_dashes(name: &str, terminal: &mut Terminal) {
    assert_eq!(
        terminal.completed("kalive lab --loss 1 -- kalive inspect --sta"),
        "kalive lab --loss 1 -- kalive inspect --state ",
        "{name}"
    );
}

#[test]
fn fish() {
    let home = Home::new();
    let offered = |line: &str| -> Option<Vec<(String, String)>> {
        let source = format!("source {}", script("kalive.fish").display());
        let complete = format!("complete -C '{line}'");
        let arguments = ["--no-config", "-C", &source, "-c", &complete];
        let output = home.shell("fish", &arguments)?.output().unwrap();
        assert!(output.stderr.is_empty(), "{output:?}");
        let lines = String::from_utf8(output.stdout).unwrap();
        let offer = |line: &str| {
            let (value, about) = line.split_once('\t').unwrap_or((line, ""));
            (value.to_owned(), about.to_owned())
        };
        Some(lines.lines().map(offer).collect())
    };
    for (typed, expected) in CASES {
        let Some(offers) = offered(typed) else {
            return;
        };
        if typed == expected {
            assert_ne!(offers.len(), 1, "{typed}: {offers:?}");
        } else {
            let word = expected.trim_end().rsplit(' ').next().unwrap();
            let values: Vec<_> = offers.iter().map(|offer| offer.0.as_str()).collect();
            assert_eq!(values, [word], "{typed}");
        }
    }
    let spaced = Spaced::new(&home);
    let pid = spaced.0.id().to_string();
    assert_eq!(
        offered(&format!("kalive inspect --pid {pid}")).unwrap(),
        [(pid, String::from("ka live"))]
    );
    let names = offered("kalive inspect --process ka").unwrap();
    assert_eq!(names, [(String::from("ka live"), String::new())]);
}
