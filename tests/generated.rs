//! completions/, man/ and schemas/ hold what the command line and the reports generate. `KALIVE_UPDATE=1 cargo test` rewrites them.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::ValueEnum as _;
use kalive::cli::Shell;
use kalive::generate;

/// The directory holds exactly these files; or is made to.
fn compare(directory: &str, expected: &BTreeMap<String, Vec<u8>>) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    if std::env::var_os("KALIVE_UPDATE").is_some() {
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        for (name, contents) in expected {
            std::fs::write(directory.join(name), contents).unwrap();
        }
    }
    let entries = std::fs::read_dir(&directory).unwrap();
    let found: BTreeMap<String, Vec<u8>> = entries
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect();
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(&found),
        names(expected),
        "run: KALIVE_UPDATE=1 cargo test --test generated"
    );
    for (name, contents) in expected {
        assert!(
            found.get(name) == Some(contents),
            "{name} is not what kalive generates; run: KALIVE_UPDATE=1 cargo test --test generated"
        );
    }
}

#[test]
fn completions_are_up_to_date() {
    let mut expected = BTreeMap::new();
    for shell in Shell::value_variants() {
        let mut script = Vec::new();
        generate::completions(*shell, &mut script).unwrap();
        let name = match shell {
            Shell::Zsh => String::from("_kalive"),
            Shell::Powershell => String::from("kalive.ps1"),
            Shell::Elvish => String::from("kalive.elv"),
            Shell::Bash => String::from("kalive.bash"),
            Shell::Fish => String::from("kalive.fish"),
        };
        expected.insert(name, script);
    }
    compare("completions", &expected);
}

#[test]
fn manual_pages_are_up_to_date() {
    let pages = generate::pages().unwrap();
    let expected = pages
        .into_iter()
        .map(|(name, page)| (format!("{name}.1"), page))
        .collect();
    compare("man", &expected);
}

/// What `kalive man` prints is what was committed when it was built.
#[test]
fn kalive_prints_every_page() {
    if std::env::var_os("KALIVE_UPDATE").is_some() {
        println!(
            "skipped: the pages have just been rewritten, and are in kalive when it is built again"
        );
        return;
    }
    for (name, page) in generate::pages().unwrap() {
        let mut printed = Vec::new();
        generate::man(name.strip_prefix("kalive-"), &mut printed).unwrap();
        assert!(printed == page, "{name}");
    }
}

#[test]
fn schemas_are_up_to_date() {
    let schemas = generate::schemas().into_iter();
    let expected = schemas.map(|(name, schema)| (name, schema.into_bytes()));
    compare("schemas", &expected.collect());
}

#[test]
fn mandoc_has_nothing_to_say() {
    for (name, page) in generate::pages().unwrap() {
        let mut mandoc = Command::new("mandoc");
        mandoc
            .args(["-Tlint", "-Wstyle"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let Ok(mut mandoc) = mandoc.spawn() else {
            println!("skipped: mandoc is not installed");
            return;
        };
        mandoc.stdin.take().unwrap().write_all(&page).unwrap();
        let said = mandoc.wait_with_output().unwrap().stdout;
        assert_eq!(String::from_utf8_lossy(&said), "", "{name}");
    }
}
