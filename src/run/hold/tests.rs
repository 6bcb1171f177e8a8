//! Whole runs in virtual time, against a scripted path: two hours take a moment.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser as _;

use self::far_end::FarEnd;
use super::run;
use super::world::{Happened, Id, Keepalive, Look, World};
use crate::cli::{Cli, Command};
use crate::domain::hold::Expiry;
use crate::domain::moment::Moment;
use crate::domain::options::Idle;
use crate::domain::wheel::{Hz, TickRate};
use crate::error::Result;
use crate::plan;
use crate::report::hold::{Report, Verdict};
use crate::sys::signals::Interrupt;

mod far_end;

const ROUND_TRIP: Duration = Duration::from_millis(2);

/// What becomes of a packet of this session, sent at this time after this silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Passes,
    Vanishes,
    Reset,
}

type Path = Box<dyn FnMut(Id, Duration, Duration) -> Fate>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Coming {
    Connected,
    /// The keepalive timer of this generation.
    Timer(u64),
    Answer,
    Reset,
    Closed,
    /// These bytes, by their place in what was said.
    Data(usize),
    /// TCP_KEEPCNT probes were lost.
    GivenUp,
}

struct Made {
    idle: Duration,
    last: Duration,
    refreshed: Duration,
    segments_in: u32,
    segments_out: u32,
    probes: u8,
    /// `TCP_KEEPCNT`.
    count: u8,
    timer: u64,
}

/// Time stands still but for [`World::wait`].
struct Fake {
    now: Duration,
    path: Path,
    /// The server closes connections of this age.
    age_limit: Option<Duration>,
    /// These are closed so long after the start, whatever their age.
    strays: BTreeMap<Id, Duration>,
    /// The machine sleeps for ten seconds at this moment.
    sleeps_at: Option<Duration>,
    /// What `kalive serve` at the far end says, or what becomes of it.
    far_end: Option<FarEnd>,
    connections: BTreeMap<Id, Made>,
    coming: BinaryHeap<Reverse<(Duration, Id, Coming)>>,
}

impl Fake {
    fn new(path: impl FnMut(Id, Duration, Duration) -> Fate + 'static) -> Self {
        Self {
            now: Duration::from_secs(1_000),
            path: Box::new(path),
            age_limit: None,
            strays: BTreeMap::new(),
            sleeps_at: None,
            far_end: None,
            connections: BTreeMap::new(),
            coming: BinaryHeap::new(),
        }
    }

    fn come(&mut self, after: Duration, id: Id, what: Coming) {
        self.coming.push(Reverse((self.now + after, id, what)));
    }

    fn arm(&mut self, id: Id, after: Duration) {
        let Some(made) = self.connections.get_mut(&id) else {
            return;
        };
        made.timer += 1;
        let timer = Coming::Timer(made.timer);
        self.come(after, id, timer);
    }

    fn probe(&mut self, id: Id) {
        let now = self.now;
        let Some(made) = self.connections.get_mut(&id) else {
            return;
        };
        if made.probes >= made.count {
            return self.come(Duration::ZERO, id, Coming::GivenUp);
        }
        made.segments_out += 1;
        made.probes = made.probes.saturating_add(1);
        match (self.path)(id, now, now.saturating_sub(made.refreshed)) {
            Fate::Passes => {
                made.refreshed = now;
                self.come(ROUND_TRIP, id, Coming::Answer);
            }
            Fate::Vanishes => {}
            Fate::Reset => self.come(ROUND_TRIP, id, Coming::Reset),
        }
        self.arm(id, Duration::from_secs(1));
    }

    fn happen(&mut self, id: Id, what: Coming) -> Option<Happened> {
        let now = self.now;
        let made = self.connections.get_mut(&id)?;
        match what {
            Coming::Connected => {
                (made.last, made.refreshed) = (now, now);
                let idle = made.idle;
                self.arm(id, idle);
                if let Some(age) = self.age_limit {
                    self.come(age, id, Coming::Closed);
                }
                if let Some(&after) = self.strays.get(&id) {
                    let at = Duration::from_secs(1_000) + after;
                    self.come(at.saturating_sub(now), id, Coming::Closed);
                }
                Some(Happened::Connected)
            }
            Coming::Timer(timer) => {
                if timer == made.timer {
                    let idle = now.saturating_sub(made.last);
                    if idle >= made.idle {
                        self.probe(id);
                    } else {
                        let left = made.idle.saturating_sub(idle);
                        self.arm(id, left);
                    }
                }
                None
            }
            Coming::Answer => {
                made.segments_in += 1;
                made.last = now;
                made.probes = 0;
                let idle = made.idle;
                self.arm(id, idle);
                None
            }
            Coming::Reset => {
                self.connections.remove(&id);
                Some(Happened::Broken(libc::ECONNRESET))
            }
            Coming::GivenUp => {
                self.connections.remove(&id);
                Some(Happened::Broken(libc::ETIMEDOUT))
            }
            Coming::Closed => {
                let silence = now.saturating_sub(made.refreshed);
                let told = (self.path)(id, now, silence) == Fate::Passes;
                if told {
                    self.connections.remove(&id);
                }
                told.then_some(Happened::Closed)
            }
            Coming::Data(place) => {
                made.segments_in += 1;
                let far_end = self.far_end.as_mut()?;
                Some(Happened::Data(std::mem::take(&mut far_end.said[place])))
            }
        }
    }
}

impl World for Fake {
    fn now(&mut self) -> Result<Moment> {
        Ok(Moment::after_start(self.now))
    }

    fn suspended(&mut self) -> Result<Duration> {
        let asleep = self.sleeps_at.is_some_and(|at| at <= self.now);
        Ok(Duration::from_secs(if asleep { 10 } else { 0 }))
    }

    fn open(
        &mut self,
        id: Id,
        _peer: SocketAddr,
        keepalive: Keepalive,
    ) -> std::result::Result<(), i32> {
        let made = Made {
            idle: keepalive.idle.duration(),
            last: self.now,
            refreshed: self.now,
            segments_in: 1,
            segments_out: 2,
            probes: 0,
            count: keepalive.count.get(),
            timer: 0,
        };
        self.connections.insert(id, made);
        self.come(ROUND_TRIP, id, Coming::Connected);
        self.greet(id);
        Ok(())
    }

    fn look(&mut self, id: Id) -> Option<Look> {
        let now = self.now;
        self.connections.get(&id).map(|made| Look {
            segments_in: made.segments_in,
            segments_out: made.segments_out,
            acknowledged: true,
            probes: made.probes,
            last: now.saturating_sub(made.last),
            round_trip: ROUND_TRIP,
        })
    }

    fn set_idle(&mut self, id: Id, idle: Idle) {
        let now = self.now;
        if let Some(made) = self.connections.get_mut(&id) {
            made.idle = idle.duration();
            let left = made.idle.saturating_sub(now.saturating_sub(made.last));
            self.arm(id, left.max(Duration::from_millis(3)));
        }
    }

    fn send(&mut self, id: Id, bytes: &[u8]) {
        self.hear(id, bytes);
    }

    fn close(&mut self, id: Id, _abort: bool) {
        self.connections.remove(&id);
    }

    fn wait(
        &mut self,
        until: Moment,
        happened: &mut Vec<(Id, Happened)>,
    ) -> Result<Option<Interrupt>> {
        let until = until.since_start().max(self.now);
        while let Some(Reverse((at, id, what))) = self.coming.peek().copied()
            && at <= until
        {
            self.coming.pop();
            self.now = self.now.max(at);
            if let Some(what) = self.happen(id, what) {
                happened.push((id, what));
                return Ok(None);
            }
        }
        self.now = until;
        let day = Duration::from_secs(86_400);
        assert!(self.now < day, "the run does not end");
        Ok(None)
    }
}

fn measured(options: &str, mut world: Fake) -> Report {
    let line = format!("kalive hold 192.0.2.1:80 {options}");
    let plan = match Cli::try_parse_from(line.split_whitespace())
        .unwrap()
        .command
    {
        Command::Hold(args) => plan::hold::plan(&args).unwrap(),
        other => panic!("{other:?}"),
    };
    let mut report = Report::new(&plan);
    let rate = TickRate::Known(Hz::new(250).unwrap());
    let addresses = ["192.0.2.1:80".parse().unwrap()];
    run(&plan, &addresses, rate, &mut world, &mut |event| {
        report.add(&event);
        Ok(())
    })
    .unwrap();
    report.conclude(rate);
    report
}

fn forgets_after(seconds: u64, then: Fate) -> Fake {
    let limit = Duration::from_secs(seconds);
    Fake::new(move |_, _, silence| if silence < limit { Fate::Passes } else { then })
}

fn bracket(report: &Report) -> Option<(f64, f64)> {
    let timeout = report.directions.first()?.timeout?;
    Some((timeout.lower.as_secs_f64(), timeout.upper.as_secs_f64()))
}

#[test]
fn a_path_of_350_s_takes_hardly_longer_than_that() {
    for then in [Fate::Vanishes, Fate::Reset] {
        let report = measured("", forgets_after(350, then));
        let (lower, upper) = bracket(&report).unwrap();
        assert!(
            lower < 350.0 && 350.0 <= upper && upper - lower <= 1.0,
            "{lower} {upper}"
        );
        assert!(
            report.cost.elapsed.as_secs_f64() <= 350.0 * 1.15 + 2.0,
            "{:?}",
            report.cost
        );
        assert!(report.cost.sessions <= 256, "{:?}", report.cost);
        let recommended = report.recommendation.unwrap();
        assert!((280..320).contains(&recommended.idle.as_secs()));
        assert_eq!(report.verdict(None), Verdict::Holds);
        assert_eq!(
            report.verdict(Some(Duration::from_secs(600))),
            Verdict::Negative
        );
    }
}

#[test]
fn a_path_that_never_forgets_takes_as_long_as_was_asked() {
    let report = measured(
        "--max 2h --at-least 2h",
        forgets_after(1_000_000, Fate::Reset),
    );
    assert_eq!(report.directions[0].expiry, Some(Expiry::None));
    assert_eq!(
        report.verdict(Some(Duration::from_secs(7_200))),
        Verdict::Holds
    );
    assert!((7_200..7_205).contains(&report.cost.elapsed.as_secs()));
}

#[test]
fn few_sessions_find_it_in_more_passes() {
    let report = measured(
        "--sessions 40 --max 30m",
        forgets_after(300, Fate::Vanishes),
    );
    let (lower, upper) = bracket(&report).unwrap();
    assert!(
        lower < 300.0 && 300.0 <= upper && upper - lower <= 1.0,
        "{lower} {upper}"
    );
    assert!(report.directions[0].passes > 1);
}

#[test]
fn a_path_that_fails_for_everybody_is_inconclusive() {
    let cut = Duration::from_secs(1_100);
    let fake = Fake::new(move |_, now, _| {
        if now < cut {
            Fate::Passes
        } else {
            Fate::Vanishes
        }
    });
    let report = measured("--max 10m", fake);
    assert!(report.inconclusive.is_some() && bracket(&report).is_none());
    assert!(report.control.lost_at.is_some());
    assert_eq!(report.verdict(None), Verdict::Unknown);
    let enough = Some(Duration::from_secs(60));
    assert_eq!(report.verdict(enough), Verdict::Holds, "so much was seen");
}

#[test]
fn two_boxes_that_differ_get_no_bracket() {
    let fake = Fake::new(|id, _, silence| {
        let limit = if id % 2 == 0 { 40 } else { 90 };
        let alive = silence < Duration::from_secs(limit);
        if alive { Fate::Passes } else { Fate::Vanishes }
    });
    let report = measured("--max 5m", fake);
    assert_eq!(bracket(&report), None);
    assert!(!report.directions[0].consistent);
    assert_eq!(report.verdict(None), Verdict::Unknown);
}

#[test]
fn a_rung_that_is_lost_by_chance_is_tried_again() {
    // A burst of loss takes everything for two seconds, more than the tries of a rung take.
    let fake = Fake::new(|id, now, silence| {
        let burst = (1_020_000..1_022_000).contains(&now.as_millis()) && id > 11;
        let alive = silence < Duration::from_secs(60) && !burst;
        if alive { Fate::Passes } else { Fate::Vanishes }
    });
    let report = measured("--max 5m", fake);
    let (lower, upper) = bracket(&report).unwrap();
    assert!(lower < 60.0 && 60.0 <= upper, "{lower} {upper}");
    assert!(report.directions[0].consistent);
}

#[test]
fn a_server_that_closes_by_age_is_told_from_a_path_that_forgets() {
    let mut fake = forgets_after(600, Fate::Vanishes);
    fake.age_limit = Some(Duration::from_secs(75));
    let report = measured("--max 10m", fake);
    let (lower, upper) = bracket(&report).unwrap();
    assert!(
        lower <= 75.0 && 75.0 <= upper && upper - lower < 0.1,
        "{lower} {upper}"
    );
    assert_eq!(report.directions[0].expiry, Some(Expiry::ClosedByPeer));
    assert_eq!(report.recommendation, None, "keepalive does not prevent it");
}

/// The connections that carry traffic end with the server's limit, and the path works all the same.
#[test]
fn a_path_that_forgets_before_the_server_closes_is_measured_beyond_that() {
    let mut fake = forgets_after(5, Fate::Vanishes);
    fake.age_limit = Some(Duration::from_millis(8_300));
    // So few that none speaks between the two.
    let report = measured("--max 10m --sessions 48", fake);
    let (lower, upper) = bracket(&report).unwrap();
    assert!(
        lower < 5.0 && 5.0 <= upper && upper - lower <= 1.0,
        "{lower} {upper}"
    );
    assert_eq!(report.directions[0].expiry, Some(Expiry::Silent));
}

/// A kernel answers one keepalive probe in half a second, and here every other answer gets lost: probes that come
/// closer would end a connection that lives, nine of them being lost.
#[test]
fn keepers_are_asked_no_faster_than_they_can_answer() {
    let mut answers: BTreeMap<Id, (Duration, u32)> = BTreeMap::new();
    let fake = Fake::new(move |id, now, silence| {
        if silence >= Duration::from_secs(60) {
            return Fate::Vanishes;
        }
        let (last, count) = answers.entry(id).or_default();
        if now.saturating_sub(*last) < Duration::from_millis(500) {
            return Fate::Vanishes;
        }
        (*last, *count) = (now, *count + 1);
        if *count % 2 == 0 {
            Fate::Vanishes
        } else {
            Fate::Passes
        }
    });
    let report = measured("--max 2m", fake);
    let early: Vec<_> = report
        .verify
        .iter()
        .filter(|v| v.idle.as_secs() < 30)
        .collect();
    assert!(early.len() >= 3, "{early:?}");
    assert!(early.iter().all(|verified| verified.survived), "{early:?}");
}

/// A rung and one of the vernier, opened seconds apart.
#[test]
fn a_few_connections_that_end_at_once_do_not_stand_for_all() {
    let mut fake = forgets_after(60, Fate::Vanishes);
    fake.strays = [50, 65].map(|id| (id, Duration::from_secs(40))).into();
    let report = measured("--max 5m", fake);
    let (lower, upper) = bracket(&report).unwrap();
    assert!(lower < 60.0 && 60.0 <= upper, "{lower} {upper}");
}

/// For no reason that they have in common.
#[test]
fn where_all_but_the_controls_have_ended_the_run_ends() {
    let mut fake = forgets_after(600, Fate::Vanishes);
    let moments = (0..).map(|n| Duration::from_millis(2_500 + 400 * n));
    fake.strays = (3..60).zip(moments).collect();
    let report = measured("--max 60s --sessions 16", fake);
    assert!(report.complete);
    assert!(report.cost.elapsed < Duration::from_secs(60));
    let mut found = report.directions.iter();
    assert!(found.all(|found| found.timeout.is_none()));
}

#[test]
fn a_machine_that_sleeps_measures_nothing() {
    let mut fake = forgets_after(600, Fate::Vanishes);
    fake.sleeps_at = Some(Duration::from_secs(1_050));
    let report = measured("--max 10m", fake);
    assert!(
        report
            .inconclusive
            .unwrap()
            .contains("suspended for 10.0 s")
    );
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]
    #[test]
    fn the_truth_is_inside_every_bracket(
        limit in 1_500_u64..900_000, loss in 0_u64..30, seed: u64, sessions in 40_u32..300,
    ) {
        let mut random = seed | 1;
        let truth = Duration::from_millis(limit);
        let fake = Fake::new(move |_, _, silence| {
            // xorshift
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let alive = silence < truth && random % 100 >= loss;
            if alive { Fate::Passes } else { Fate::Vanishes }
        });
        let report = measured(&format!("--max 20m --sessions {sessions}"), fake);
        proptest::prop_assert!(loss > 15 || bracket(&report).is_some(), "{report:?}");
        if let Some((lower, upper)) = bracket(&report) {
            let truth = truth.as_secs_f64();
            proptest::prop_assert!(lower <= truth + 0.02 && truth <= upper + 0.001, "{lower} {truth} {upper}");
        }
    }
}
