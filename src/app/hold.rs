//! `kalive hold` and its far end, `kalive serve`, from arguments to bytes.

use std::io::{self, Write};

use super::record::Record;
use super::{Picture, Surroundings, warn};
use crate::cli::hold::HoldArgs;
use crate::cli::serve::ServeArgs;
use crate::cli::{Global, Output, TestOutput};
use crate::error::{During as _, Error, Result};
use crate::exit::Exit;
use crate::report::hold::Verdict;
use crate::run::hold::event::Event;
use crate::run::hold::net::Net;
use crate::sys::reactor::Reactor;
use crate::sys::signals::Interrupts;
use crate::sys::{limits, resolve, tick};
use crate::{plan, render, report};

pub(super) fn hold(
    args: &HoldArgs,
    global: Global<TestOutput>,
    surroundings: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit> {
    let mut plan = plan::hold::plan(args)?;
    let picture = Picture::new(args.svg.as_deref())?;
    Net::counts_segments()?;
    let room = limits::raise_descriptors().during(|| "RLIMIT_NOFILE")?;
    if let Some(sessions) = plan::hold::room(&plan, room, limits::ephemeral_ports()) {
        plan = plan.within(sessions)?;
        warn(
            err,
            &format!(
                "this machine has room for {sessions} connections only: the plan is made smaller"
            ),
        );
    }
    let mut record = args.record.as_deref().map(Record::create).transpose()?;
    let addresses = resolve::addresses(&plan.target, plan.families)?;
    let (first, passes) = plan.first()?;
    let progress = global.progress.decide(surroundings.stderr_is_terminal);
    if progress || passes > 1 {
        warn(
            err,
            &render::hold::announcement(&plan, first.sessions(), passes),
        );
    }
    let rate = tick::rate();
    let mut net = Net::new(Reactor::new(Interrupts::hold()?)?, plan.origin.clone());
    let mut report = report::hold::Report::new(&plan);
    let mut told = false;
    let interrupt = crate::run::hold::run(&plan, &addresses, rate, &mut net, &mut |event| {
        report.add(&event);
        if let Event::Progress(now) = &event {
            if progress {
                told = true;
                let _: io::Result<()> = write!(err, "{}", render::hold::progress(now));
            }
            return Ok(());
        }
        if let Some(record) = &mut record {
            record.add(err, |file| render::hold::record(file, &event));
        }
        render::hold::event(out, global.output, &event).map_err(Error::Output)
    })?;
    if told {
        let _: io::Result<()> = writeln!(err);
    }
    report.conclude(rate);
    if let Some(record) = &mut record {
        record.add(err, |file| render::hold::record_report(file, &report));
    }
    for warning in &report.warnings {
        warn(err, warning);
    }
    let layout = surroundings.layout(global.color);
    render::hold::finish(out, global.output, &report, layout).map_err(Error::Output)?;
    picture.draw(|file, at| render::hold::picture(file, &report, at))?;
    Ok(match (interrupt, report.verdict(plan.at_least)) {
        (Some(interrupt), _) => Exit::Interrupted(interrupt),
        _ if record.is_some_and(|record| !record.is_whole()) => Exit::Failed,
        (None, Verdict::Holds) => Exit::Holds,
        (None, Verdict::Negative) => Exit::Negative,
        (None, Verdict::Unknown) => Exit::Failed,
    })
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
