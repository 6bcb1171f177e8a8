//! The keepalive options that a live socket has, whoever holds it, and why they may not be known. Pure:
//! the reading itself is in `sys`.

use std::fmt;

use super::options::Origin;
use super::prediction::Keepalive;
use super::tunables::{self, Tunable, Values};

/// What getsockopt(2) answered. A value that the socket does not have itself is the sysctl's, and the
/// kernel answers with that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveOptions {
    /// `SO_KEEPALIVE`.
    pub enabled: bool,
    /// The times and the count, whether or not they apply.
    pub keepalive: Keepalive,
}

/// Where each option's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins {
    /// Of `SO_KEEPALIVE`, which no sysctl sets.
    pub enabled: Origin,
    /// Of `TCP_KEEPIDLE`.
    pub idle: Origin,
    /// Of `TCP_KEEPINTVL`.
    pub interval: Origin,
    /// Of `TCP_KEEPCNT`.
    pub count: Origin,
    /// Of `TCP_USER_TIMEOUT`, which no sysctl sets.
    pub user_timeout: Origin,
}

impl LiveOptions {
    /// Tells where the values come from by comparing them with the sysctls of the socket's network
    /// namespace. A socket may have been given the sysctl's very value: that cannot be told apart.
    #[must_use]
    pub fn origins(&self, sysctls: &Values) -> Origins {
        let own = |set| {
            if set { Origin::Socket } else { Origin::Default }
        };
        let keepalive = &self.keepalive;
        Origins {
            enabled: own(self.enabled),
            idle: origin(sysctls, &tunables::KEEPALIVE_TIME, keepalive.idle.as_secs()),
            interval: origin(
                sysctls,
                &tunables::KEEPALIVE_INTVL,
                keepalive.interval.as_secs(),
            ),
            count: origin(sysctls, &tunables::KEEPALIVE_PROBES, keepalive.count.into()),
            user_timeout: own(keepalive.user_timeout.is_some()),
        }
    }
}

fn origin(sysctls: &Values, tunable: &Tunable, value: u64) -> Origin {
    match sysctls.get(tunable) {
        Ok(sysctl) if sysctl == value => Origin::SocketOrSysctl,
        Ok(_) => Origin::Socket,
        Err(why) => Origin::Unknown(why),
    }
}

/// Why a socket's options are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unread {
    /// No descriptor refers to the socket (TIME-WAIT, a request, or already closed).
    NoDescriptor,
    /// No process that could be read holds it.
    HolderUnknown,
    /// The kernel did not let us duplicate the descriptor (EPERM): that takes the rights of ptrace(2).
    NotPermitted,
    /// The process, or this descriptor of it, is gone, or is another socket by now.
    Gone,
    /// The kernel has no pidfd_getfd, or a seccomp filter says so (ENOSYS).
    OldKernel,
    /// Only Linux 6.9 or later reaches the descriptors of a thread that has its own table of them.
    OldKernelForThread,
    /// The call failed with this error number.
    Failed(i32),
    /// The kernel answered with a count that it would not take, beyond 255.
    Implausible,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoDescriptor => "no process holds the socket any more, or yet",
            Self::HolderUnknown => "no process that could be read holds it",
            Self::NotPermitted => {
                "not permitted: pidfd_getfd needs CAP_SYS_PTRACE, or the same user and a Yama and seccomp that allow it"
            }
            Self::Gone => "closed or replaced while it was looked at",
            Self::OldKernel => {
                "this kernel has no pidfd_getfd (Linux 5.6), or a seccomp filter hides it"
            }
            Self::OldKernelForThread => {
                "a thread with its own descriptors holds it: Linux 6.9 is needed to reach those"
            }
            Self::Failed(errno) => {
                let cause = std::io::Error::from_raw_os_error(*errno);
                return write!(f, "reading the options failed: {cause}");
            }
            Self::Implausible => "the kernel's answer makes no sense",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sysctls(idle: u64) -> Values {
        Values::read(|tunable| match *tunable {
            tunables::KEEPALIVE_TIME => Ok(idle),
            tunables::KEEPALIVE_PROBES => Err(String::from("Permission denied")),
            other => Ok(other.default),
        })
    }

    #[test]
    fn what_differs_is_the_sockets_own_and_what_is_equal_cannot_be_told() {
        let options = LiveOptions {
            enabled: true,
            keepalive: Keepalive {
                idle: Duration::from_secs(60),
                interval: Duration::from_secs(75),
                count: 9,
                user_timeout: None,
            },
        };
        let origins = options.origins(&sysctls(7_200));
        assert_eq!(origins.enabled, Origin::Socket);
        assert_eq!(origins.idle, Origin::Socket);
        assert_eq!(origins.interval, Origin::SocketOrSysctl);
        assert_eq!(
            origins.count,
            Origin::Unknown(String::from("tcp_keepalive_probes: Permission denied"))
        );
        assert_eq!(origins.user_timeout, Origin::Default);
        assert_eq!(options.origins(&sysctls(60)).idle, Origin::SocketOrSysctl);
    }
}
