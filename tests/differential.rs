//! `kalive inspect` against others who know: `ss` and another decoder at the same moment, and the owner of every
//! socket. Tens of
//! thousands of random sockets in every state that can be held still, in a network namespace of their own.
//! `KALIVE_SEED=N` makes the same ones again.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may panic"
)]

#[path = "differential/bracket.rs"]
mod bracket;
mod common;
#[path = "differential/doors.rs"]
mod doors;
#[path = "common/lab.rs"]
mod lab;
#[path = "differential/look.rs"]
mod look;
#[path = "differential/options.rs"]
mod options;
#[path = "differential/oracle.rs"]
mod oracle;
#[path = "differential/ss.rs"]
mod ss;
#[path = "differential/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::os::fd::AsRawFd as _;
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bracket::{Bracket, Compared};
use common::{json, sockets};
use doors::address;
use fastrand::Rng;
use kalive::lab::{Lab, Plan};
use lab::in_lab_user_namespace;
use look::{Look, Said};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{ClockId, clock_getres};
use options::Options;
use serde_json::Value;
use world::{Held, World};

/// As many descriptors as the test makes where it may.
const DESCRIPTORS: u64 = 18_000;
/// What is left for everything else.
const SPARE: u64 = 1_000;
const TIME_WAIT: usize = 12_000;
const WITH_OPTIONS: usize = 8_000;

/// How many sockets there are by their state.
type Made = BTreeMap<&'static str, usize>;

/// Both tests take nearly all descriptors that one process may have.
static ALONE: Mutex<()> = Mutex::new(());

fn random() -> Rng {
    let seed = std::env::var("KALIVE_SEED")
        .map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("KALIVE_SEED={seed}");
    Rng::with_seed(seed)
}

/// How many descriptors there may be.
fn descriptors() -> usize {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    usize::try_from(DESCRIPTORS.min(hard - SPARE)).unwrap()
}

#[test]
fn inspect_tells_what_ss_and_another_decoder_and_the_owners_tell() {
    in_lab_user_namespace(|| {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let lab = Lab::build(&Plan::default()).unwrap();
        lab.client().run(compare).unwrap();
    });
}

fn compare() {
    let mut random = random();
    let mut world = World::make(random.fork(), descriptors(), TIME_WAIT);
    let made = world.count();
    let other = share_some(&mut random, &mut world.held);
    let before = Said::by_kalive_in_json();
    let oracle = Said::by(oracle::datagrams, |datagrams| oracle::rows(&datagrams));
    let ss = Said::by_ss();
    let after = Said::by_kalive_in_ndjson();
    let [before, oracle, after] = [before, oracle, after].map(Said::read);
    let mut wrong = Vec::new();
    let mut owned = Made::new();
    for held in &world.held {
        match owners_word(held, &before) {
            Ok(()) => *owned.entry(held.state).or_default() += 1,
            Err(what) => wrong.push(what),
        }
    }
    println!("with their owners: {owned:?}");
    let tick = Duration::from(clock_getres(ClockId::CLOCK_MONOTONIC_COARSE).unwrap());
    let mut compare = |who: &str, between: &Look, told: &Made| {
        let bracket = Bracket {
            before: &before,
            between,
            after: &after,
            tick,
        };
        let (compared, differences) = bracket.compare();
        wrong.extend(differences);
        wrong.extend(all_compared(who, told, &compared));
    };
    compare("the other decoder", &oracle, &made);
    match ss.map(Said::read) {
        None => println!("skipped: ss is not installed"),
        Some(ss) => {
            let mut told = made;
            if ss.rows.values().all(|row| row.fixed.state != "CLOSED") {
                // Before iproute2 6.8, ss does not ask for sockets that are only bound.
                told.remove("CLOSED");
            }
            compare("ss", &ss, &told);
        }
    }
    drop(other);
    let first = &wrong[..wrong.len().min(5)];
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        first.join("\n")
    );
}

/// Prints what was compared with `who`, and gives what was not.
fn all_compared(who: &str, made: &Made, compared: &BTreeMap<String, Compared>) -> Vec<String> {
    let mut missing = Vec::new();
    println!("with {who}:");
    for (state, made) in made {
        let compared = compared.get(*state).copied().unwrap_or_default();
        println!("{state:12} {compared}");
        if compared.sockets != *made {
            missing.push(format!(
                "{} of {made} in {state} were compared with {who}",
                compared.sockets
            ));
        }
        if compared.moved > 0 && compared.timers == 0 {
            missing.push(format!("no timer in {state} was compared with {who}"));
        }
    }
    missing
}

/// Every socket has options of its own, and `kalive inspect --options` reads them.
#[test]
fn options_are_those_that_the_owners_set() {
    in_lab_user_namespace(|| {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let lab = Lab::build(&Plan::default()).unwrap();
        lab.client().run(compare_options).unwrap();
    });
}

fn compare_options() {
    let mut random = random();
    let world = World::make(random.fork(), descriptors().min(WITH_OPTIONS), 0);
    let expected: BTreeMap<u64, Value> = world
        .held
        .iter()
        .map(|held| {
            let set = Options::choose(&mut random);
            set.apply(&held.socket);
            assert_eq!(Options::of(&held.socket), set, "the kernel took them");
            (held.socket.cookie().unwrap(), set.told())
        })
        .collect();
    let report = json("inspect -s --state all --options");
    let told: BTreeMap<u64, &Value> = sockets(&report)
        .iter()
        .map(|row| (row["cookie"].as_u64().unwrap(), &row["keepalive"]))
        .collect();
    for (cookie, expected) in &expected {
        assert_eq!(told.get(cookie), Some(&expected), "{cookie}");
    }
    println!("the options of {} sockets", expected.len());
}

/// What `sys::sock_diag` tests its decoder with.
#[test]
#[ignore = "writes tests/data/sock-diag-all"]
fn capture_a_small_world() {
    in_lab_user_namespace(|| {
        let lab = Lab::build(&Plan::default()).unwrap();
        let captured = lab.client().run(|| {
            let _world = World::make(Rng::with_seed(3), 120, 4);
            oracle::datagrams().concat()
        });
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/sock-diag-all");
        std::fs::write(path, captured.unwrap()).unwrap();
    });
}

/// Gives some descriptors a double, and some to another process too.
fn share_some(random: &mut Rng, held: &mut Vec<Held>) -> Other {
    let mut inherited = Vec::new();
    for _ in 0..held.len() / 100 {
        let Held { socket, state } = &held[random.usize(..held.len())];
        let double = Held {
            socket: socket.try_clone().unwrap(),
            state,
        };
        // Without CLOEXEC: the process that starts next gets it.
        inherited.push(nix::unistd::dup(socket).unwrap());
        held.push(double);
    }
    let sleep = Command::new("sleep").arg("600").spawn().unwrap();
    Other(sleep)
}

/// A process that ends with the test.
struct Other(Child);

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether a row tells what the owner of the socket knows.
fn owners_word(held: &Held, look: &Look) -> Result<(), String> {
    let Held { socket, state } = held;
    let row = look.rows.get(&socket.cookie().unwrap());
    let fixed = row
        .map(|row| &row.fixed)
        .ok_or_else(|| format!("in {state} and not told: {held:?}"))?;
    let own = rustix::fs::fstat(socket).unwrap();
    let peer = socket.peer_addr().ok().and_then(|peer| peer.as_socket());
    let descriptor = (
        u64::from(std::process::id()),
        u64::try_from(socket.as_raw_fd()).unwrap(),
    );
    let agrees = fixed.state == *state
        && fixed.local == address(socket)
        && (peer.is_none() || fixed.peer == peer)
        && (fixed.inode, fixed.uid) == (own.st_ino, own.st_uid.into())
        && fixed
            .holders
            .iter()
            .flatten()
            .any(|(pid, fd, _)| (*pid, *fd) == descriptor);
    if agrees {
        Ok(())
    } else {
        Err(format!(
            "{held:?} in {state} with {peer:?} is told as {fixed:?}"
        ))
    }
}
