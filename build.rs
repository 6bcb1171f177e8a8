//! Tells the program what it is built from: the commit, as cargo packed it with a crate or as git knows it in a
//! checkout, else none; the target; the features.

use std::fs;
use std::path::Path;
use std::process::Command;

/// What a crate from crates.io has in place of .git.
const PACKED: &str = ".cargo_vcs_info.json";

fn main() {
    // Only these: without any, cargo would run this again for every change of any file.
    println!("cargo::rerun-if-changed=build.rs");
    if let Some(commit) = packed().or_else(checked_out) {
        println!("cargo::rustc-env=KALIVE_COMMIT={}", commit.hash);
        if let Some(date) = commit.date {
            println!("cargo::rustc-env=KALIVE_COMMIT_DATE={date}");
        }
    }
    let mut features: Vec<String> = std::env::vars()
        .filter_map(|(name, _)| Some(name.strip_prefix("CARGO_FEATURE_")?.to_lowercase()))
        .collect();
    features.sort();
    println!("cargo::rustc-env=KALIVE_FEATURES={}", features.join(" "));
    let target = std::env::var("TARGET").unwrap_or_default();
    println!("cargo::rustc-env=KALIVE_TARGET={target}");
}

struct Commit {
    /// Shortened as git does.
    hash: String,
    /// The day of the commit.
    date: Option<String>,
}

fn packed() -> Option<Commit> {
    let info = fs::read_to_string(PACKED).ok()?;
    println!("cargo::rerun-if-changed={PACKED}");
    let (_, sha1) = info.split_once(r#""sha1""#)?;
    let hash = sha1.split('"').nth(1)?.get(..7)?.to_owned();
    Some(Commit { hash, date: None })
}

fn checked_out() -> Option<Commit> {
    // Not that of another project which this directory happens to lie in.
    let top = fs::canonicalize(git(&["rev-parse", "--show-toplevel"])?).ok()?;
    if top != fs::canonicalize(".").ok()? {
        return None;
    }
    // In a worktree .git is a file: git knows where its parts are. The log of HEAD grows with each commit too.
    for part in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", part])?;
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let shown = git(&["show", "--no-patch", "--format=%h %cs", "HEAD"])?;
    let (hash, date) = shown.split_once(' ')?;
    Some(Commit {
        hash: hash.to_owned(),
        date: Some(date.to_owned()),
    })
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
