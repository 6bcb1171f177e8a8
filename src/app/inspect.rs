//! `kalive inspect`'s way from arguments to bytes, once or again and again.

use std::io::Write;
use std::time::{Duration, Instant, SystemTime};

use super::{Surroundings, told, warn};
use crate::cli::inspect::InspectArgs;
use crate::cli::{GlobalArgs, When};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::plan::inspect::{Format, Plan};
use crate::render::inspect::{Frame, MARK_WIDTH, Renderer, Screen, advice, openmetrics, warning};
use crate::render::{self, Layout};
use crate::report::inspect::{Kept, Report, Survives, Verdicts};
use crate::run::inspect::{Event, Row, Stop};
use crate::sys::replace::replace;
use crate::sys::signals::{Interrupt, Interrupts};
use crate::{plan, run};

/// How many sockets pass between two looks at whether a signal has come.
const SOCKETS_BETWEEN_LOOKS: u64 = 128;

pub(super) fn inspect(
    args: &InspectArgs,
    global: GlobalArgs,
    surroundings: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit> {
    let plan = plan::inspect::plan(args, global.output)?;
    let mut interrupts = Interrupts::hold()?;
    let (interrupt, report) = match plan.watch {
        None => {
            let layout = surroundings.layout(global.color);
            let looked = once(&plan, layout, &mut interrupts, out);
            told(looked, "kalive inspect", plan.format == Format::Junit, out)?
        }
        Some(period) => {
            let mut watch = Watch {
                plan: &plan,
                color: global.color,
                surroundings,
                screen: Screen::default(),
            };
            let ended = watch.run(period, &mut interrupts, out);
            watch.screen.close(out).map_err(Error::Output)?;
            ended?
        }
    };
    out.flush().map_err(Error::Output)?;
    for incomplete in &report.incomplete {
        warn(err, &warning(incomplete));
    }
    // Who is root already is refused for another reason.
    if let Some(advice) = report.incomplete.iter().find_map(advice)
        && !rustix::process::geteuid().is_root()
    {
        warn(err, advice);
    }
    if let (Some(name), 0) = (&plan.filter.process, report.count) {
        warn(
            err,
            &format!(
                "no process named '{name}' is seen to hold such a socket; names are those of /proc/PID/comm, cut to 15 bytes"
            ),
        );
    }
    if interrupt.is_none() && report.survives.as_ref().is_some_and(nothing_judged) {
        warn(
            err,
            "there was no connection to judge: none is ESTABLISHED, or none passes the filters",
        );
    }
    Ok(match interrupt {
        Some(interrupt) => Exit::Interrupted(interrupt),
        None => verdict(&plan, &report),
    })
}

type Ended = (Option<Interrupt>, Report);

fn nothing_judged(survives: &Survives) -> bool {
    survives.verdicts == Verdicts::default()
}

/// Any connection at risk is a negative answer; where that was asked for, one that cannot be judged, or may
/// have been overlooked, is none.
fn verdict(plan: &Plan, report: &Report) -> Exit {
    match report.survives {
        Some(survives) if survives.verdicts.at_risk > 0 => Exit::Negative,
        Some(survives) if plan.strict => {
            let overlooked = report.incomplete.iter().any(|gap| gap.hides_sockets);
            if overlooked || survives.verdicts.unknown > 0 || nothing_judged(&survives) {
                Exit::Failed
            } else {
                Exit::Holds
            }
        }
        Some(_) | None => Exit::Holds,
    }
}

fn once(
    plan: &Plan,
    layout: Layout,
    interrupts: &mut Interrupts,
    out: &mut dyn Write,
) -> Result<Ended> {
    let Some(mut renderer) = Renderer::new(plan, layout) else {
        return metrics(plan, interrupts, out);
    };
    let (interrupt, report) = round(plan, interrupts, None, &mut |row| {
        renderer.socket(out, row).map_err(Error::Output)
    })?;
    renderer.finish(out, &report).map_err(Error::Output)?;
    Ok((interrupt, report))
}

/// Looks at everything once. Rows are shown as they come, or sorted at the end.
fn round(
    plan: &Plan,
    interrupts: &mut Interrupts,
    at: Option<SystemTime>,
    show: &mut dyn FnMut(&Row) -> Result<()>,
) -> Result<Ended> {
    let mut interrupt = None;
    let mut report = Report::new(plan);
    report.at = at.map(|at| humantime::format_rfc3339_millis(at).to_string());
    let mut kept = plan.sort.map(|key| (key, Kept::default()));
    let ended = run::inspect::run(plan, &mut |event| {
        report.add(&event);
        if let Event::Socket(row) = &event {
            match &mut kept {
                Some((_, kept)) => kept.add(row),
                None => show(row)?,
            }
        }
        if report.count.is_multiple_of(SOCKETS_BETWEEN_LOOKS) {
            interrupt = interrupts.pending();
        }
        if interrupt.is_some() {
            Err(Stop::Interrupted)
        } else {
            Ok(())
        }
    });
    match ended {
        Err(Stop::Failed(error)) => return Err(error),
        Ok(()) | Err(Stop::Interrupted) => {}
    }
    if let Some((key, mut kept)) = kept {
        kept.sort(key);
        for row in kept.rows() {
            show(&row)?;
        }
    }
    Ok((interrupt, report))
}

/// A round that becomes metrics. One that was interrupted leaves the file as it was.
fn metrics(plan: &Plan, interrupts: &mut Interrupts, out: &mut dyn Write) -> Result<Ended> {
    let (interrupt, report) = round(plan, interrupts, None, &mut |_| Ok(()))?;
    match &plan.format {
        Format::Openmetrics(Some(path)) if interrupt.is_none() => {
            replace(path, |file| openmetrics(file, &report, plan.top))?;
        }
        Format::Openmetrics(None) => {
            openmetrics(out, &report, plan.top).map_err(Error::Output)?;
        }
        Format::Openmetrics(Some(_))
        | Format::Table
        | Format::Json
        | Format::Ndjson
        | Format::Junit => {}
    }
    Ok((interrupt, report))
}

/// Rounds without end, but for a signal.
struct Watch<'a> {
    plan: &'a Plan,
    color: When,
    surroundings: &'a Surroundings,
    screen: Screen,
}

impl Watch<'_> {
    fn run(
        &mut self,
        period: Duration,
        interrupts: &mut Interrupts,
        out: &mut dyn Write,
    ) -> Result<Ended> {
        loop {
            let started = Instant::now();
            let (interrupt, report) = self.round(interrupts, out)?;
            let left = period.saturating_sub(started.elapsed());
            let interrupt = match interrupt {
                None => interrupts.wait(left)?,
                already => already,
            };
            if interrupt.is_some() {
                return Ok((interrupt, report));
            }
        }
    }

    fn round(&mut self, interrupts: &mut Interrupts, out: &mut dyn Write) -> Result<Ended> {
        if matches!(self.plan.format, Format::Openmetrics(_)) {
            return metrics(self.plan, interrupts, out);
        }
        if self.plan.format == Format::Table && self.surroundings.stdout_is_terminal {
            return self.redraw(interrupts, out);
        }
        let mut renderer = Renderer::events(self.plan);
        let now = Some(SystemTime::now());
        let (interrupt, report) = round(self.plan, interrupts, now, &mut |row| {
            renderer.socket(out, row).map_err(Error::Output)
        })?;
        renderer.finish(out, &report).map_err(Error::Output)?;
        out.flush().map_err(Error::Output)?;
        Ok((interrupt, report))
    }

    fn redraw(&mut self, interrupts: &mut Interrupts, out: &mut dyn Write) -> Result<Ended> {
        let (width, height) = self.surroundings.size();
        let layout = render::Layout {
            width: width.saturating_sub(MARK_WIDTH),
            cut: true,
            colored: false,
        };
        let mut frame = Frame::new(self.plan, layout);
        let now = SystemTime::now();
        let (interrupt, report) = round(self.plan, interrupts, Some(now), &mut |row| {
            frame.socket(row).map_err(Error::Output)
        })?;
        // Half a round would only mark as changed what is missing.
        if interrupt.is_none() {
            let lines = frame.finish(&report).map_err(Error::Output)?;
            let colored = self.surroundings.layout(self.color).colored;
            self.screen
                .draw(out, &lines, (width, height), colored)
                .map_err(Error::Output)?;
        }
        Ok((interrupt, report))
    }
}
