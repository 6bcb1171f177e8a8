//! `kalive hold` and its far end, `kalive serve`, from arguments to bytes.

use std::io::Write;

use super::record::Record;
use super::status::Status;
use super::{Picture, Surroundings, told, warn};
use crate::cli::hold::HoldArgs;
use crate::cli::serve::ServeArgs;
use crate::cli::{Global, Output, TestOutput};
use crate::domain::words::counted;
use crate::error::{During as _, Error, Result};
use crate::exit::Exit;
use crate::report::hold::Verdict;
use crate::run::hold::event::Event;
use crate::run::hold::net::Net;
use crate::sys::reactor::Reactor;
use crate::sys::signals::{Interrupt, Interrupts};
use crate::sys::{limits, resolve, tick};
use crate::{plan, render, report};

pub(super) fn hold(
    args: &HoldArgs,
    global: Global<TestOutput>,
    surroundings: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit> {
    let plan = plan::hold::plan(args)?;
    let picture = Picture::new(args.svg.as_deref())?;
    let mut record = args.record.as_deref().map(Record::create).transpose()?;
    let measured = measure(plan, global, surroundings, record.as_mut(), out, err);
    let (report, interrupt) = told(
        measured,
        "kalive hold",
        global.output == TestOutput::Junit,
        out,
    )?;
    for warning in &report.warnings {
        warn(err, warning);
    }
    let layout = surroundings.layout(global.color);
    let printed = render::hold::finish(out, global.output, &report, layout);
    let drawn = picture.draw(|file, at| render::hold::picture(file, &report, at));
    printed.map_err(Error::Output).and(drawn)?;
    Ok(match (interrupt, report.verdict(report.at_least)) {
        (Some(interrupt), _) => Exit::Interrupted(interrupt),
        _ if record.is_some_and(|record| !record.is_whole()) => Exit::Failed,
        (None, Verdict::Holds) => Exit::Holds,
        (None, Verdict::Negative) => Exit::Negative,
        (None, Verdict::Unknown) => Exit::Failed,
    })
}

/// Carries the measurement out, and records it.
fn measure(
    mut plan: plan::hold::Plan,
    global: Global<TestOutput>,
    surroundings: &Surroundings,
    mut record: Option<&mut Record>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<(report::hold::Report, Option<Interrupt>)> {
    Net::counts_segments()?;
    let room = limits::raise_descriptors().during(|| "RLIMIT_NOFILE")?;
    if let Some(sessions) = plan::hold::room(&plan, room, limits::ephemeral_ports()) {
        plan = plan.within(sessions)?;
        warn(
            err,
            &format!(
                "this machine has room for {} in each direction only: the plan is made smaller",
                counted(sessions, "connection")
            ),
        );
    }
    let addresses = resolve::addresses(&plan.target, plan.families)?;
    let (first, passes) = plan.first()?;
    let terminal = surroundings.stderr_is_terminal;
    let mut status = Status::new(global.progress.decide(terminal), terminal);
    if !status.is_silent() || passes > 1 {
        warn(
            err,
            &render::hold::announcement(&plan, first.sessions(), passes),
        );
    }
    let rate = tick::rate();
    let mut net = Net::new(Reactor::new(Interrupts::hold()?)?, plan.origin.clone());
    let mut report = report::hold::Report::new(&plan);
    let interrupt = crate::run::hold::run(&plan, &addresses, rate, &mut net, &mut |event| {
        report.add(&event);
        if let Event::Progress(now) = &event {
            status.show(err, now.elapsed, &render::hold::progress(now));
            return Ok(());
        }
        if let Some(record) = &mut record {
            record.add(err, |file| render::hold::record(file, &event));
        }
        render::hold::event(out, global.output, &event).map_err(Error::Output)
    })?;
    status.close(err);
    report.conclude(rate);
    if let Some(record) = record {
        record.add(err, |file| render::hold::record_report(file, &report));
    }
    Ok((report, interrupt))
}

pub(super) fn serve(args: &ServeArgs, global: Global<Output>, out: &mut dyn Write) -> Result<Exit> {
    let plan = plan::serve::plan(args);
    let listener = crate::run::serve::listen(plan.listen)?;
    let reactor = Reactor::new(Interrupts::hold()?)?;
    let mut report = report::serve::Report::default();
    let ended = crate::run::serve::run(&plan, &listener, reactor, None, &mut |event| {
        report.add(&event);
        render::serve::event(out, global.output, &event).map_err(Error::Output)
    })?;
    report.complete = ended.is_none();
    render::serve::finish(out, global.output, &report).map_err(Error::Output)?;
    Ok(ended.map_or(Exit::Holds, Exit::Interrupted))
}
