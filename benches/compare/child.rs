//! What a child process has used, as the kernel counts it.

use std::process::Child;
use std::time::Duration;

/// Waits for the child, which has to have answered with one of these exit codes; gives its largest resident
/// memory in KiB.
#[expect(
    unsafe_code,
    reason = "std does not give the resources that a child used"
)]
pub(crate) fn wait(child: Child, answers: &[i32]) -> i64 {
    // SAFETY: rusage is plain numbers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let pid = libc::pid_t::try_from(child.id()).unwrap();
    let mut status = 0;
    // SAFETY: both pointers are to values that live across the call; the child was not waited for yet.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    let answered = libc::WIFEXITED(status) && answers.contains(&libc::WEXITSTATUS(status));
    assert!(
        waited == pid && answered,
        "the measured command failed: {status}"
    );
    drop(child);
    usage.ru_maxrss
}

/// The processor time that the child has used so far, by the scheduler's own count.
pub(crate) fn processor(child: &Child) -> Duration {
    let path = format!("/proc/{}/schedstat", child.id());
    let text = std::fs::read_to_string(path).unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}
