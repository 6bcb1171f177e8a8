//! What the tests on real networks share: a place where labs can be built.

use std::process::Command;

use kalive::lab;

/// Set in the copy of a test that runs in a user namespace.
const INSIDE: &str = "KALIVE_TEST_INSIDE";

/// Runs `test` where labs can be built: here if this process is privileged, else in another run
/// of this one test as uid 0 of a user namespace. Call it first, with a closure written in the test
/// function itself: its name says which test to run again.
pub(crate) fn in_lab_user_namespace<F: FnOnce()>(test: F) {
    if lab::privileged().unwrap() {
        return test();
    }
    in_user_namespace(test);
}

/// As [`in_lab_user_namespace`], and never here: for tests that change limits of their own user
/// namespace, which are the system's for who is privileged already.
pub(crate) fn in_user_namespace<F: FnOnce()>(test: F) {
    if std::env::var_os(INSIDE).is_some() {
        return test();
    }
    let path = std::any::type_name::<F>();
    let path = path.trim_end_matches("::{{closure}}");
    let (_, name) = path.split_once("::").unwrap();
    let mut again = Command::new("/proc/self/exe");
    again
        .args([name, "--exact", "--nocapture", "--include-ignored"])
        .env(INSIDE, "1");
    lab::give_root(&mut again);
    match again.output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            // Through print!, which libtest captures, unlike what the child would write itself.
            print!("{said}{}", String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "{name} failed in its namespace");
            assert!(said.contains("1 passed"), "{name} was not found");
        }
        Err(error) => println!("skipped: no user namespace for {name}: {error}"),
    }
}
