//! Turns the kernel's refusals into one sentence that says what this machine lacks and the remedy.

use std::io;
use std::path::Path;

use crate::error::Error;

/// A user or network namespace was refused.
pub(super) fn namespace(source: io::Error) -> Error {
    explain_namespace(source, |name| {
        std::fs::read_to_string(Path::new("/proc/sys").join(name))
            .ok()
            .map(|text| text.trim().to_owned())
    })
}

/// `sysctl` gives the value of a file below /proc/sys, `None` if there is none.
fn explain_namespace(source: io::Error, sysctl: impl Fn(&str) -> Option<String>) -> Error {
    let is = |name: &str, value: &str| sysctl(name).as_deref() == Some(value);
    let remedy = match source.raw_os_error() {
        Some(libc::ENOSPC | libc::EUSERS) if is("user/max_user_namespaces", "0") => {
            "user.max_user_namespaces is 0: set it higher with sysctl, or run with sudo"
        }
        Some(libc::ENOSPC | libc::EUSERS) => {
            "the limit of namespaces is reached: raise user.max_user_namespaces and \
             user.max_net_namespaces with sysctl"
        }
        Some(libc::EPERM) if is("kernel/unprivileged_userns_clone", "0") => {
            "kernel.unprivileged_userns_clone is 0: set it to 1 with sysctl, or run with sudo"
        }
        Some(libc::EPERM | libc::EACCES)
            if is("kernel/apparmor_restrict_unprivileged_userns", "1") =>
        {
            "kernel.apparmor_restrict_unprivileged_userns is 1: set it to 0 with sysctl, or run \
             with sudo"
        }
        Some(libc::EPERM | libc::EACCES) => {
            "a container, seccomp filter or security module forbids it: run with sudo, or give the \
             container CAP_SYS_ADMIN and CAP_NET_ADMIN"
        }
        Some(libc::EINVAL | libc::ENOSYS) => {
            "this kernel lacks CONFIG_USER_NS or CONFIG_NET_NS: run with sudo or use another kernel"
        }
        _ => {
            return Error::System {
                operation: "make a namespace for the lab".to_owned(),
                cause: source,
            };
        }
    };
    Error::Unsupported(format!(
        "the lab cannot make its namespaces ({source}): {remedy}"
    ))
}

/// The virtual cable was refused.
pub(super) fn veth(source: io::Error) -> Error {
    match source.raw_os_error() {
        Some(libc::EOPNOTSUPP) => Error::Unsupported(
            "the lab needs veth links, which this kernel lacks: load the module as root with \
             `modprobe veth`"
                .to_owned(),
        ),
        _ => Error::System {
            operation: "create a veth link".to_owned(),
            cause: source,
        },
    }
}

/// A part of the ruleset was refused; `what` names it.
pub(super) fn nftables(what: &str, source: io::Error) -> Error {
    let module = match source.raw_os_error() {
        // An absent nf_tables subsystem answers EINVAL, an absent expression or chain type ENOENT.
        Some(libc::EINVAL | libc::EOPNOTSUPP | libc::EPROTONOSUPPORT) if what == TABLE => {
            "nf_tables"
        }
        Some(libc::ENOENT | libc::EOPNOTSUPP) => {
            "nft_ct nft_chain_nat nft_masq nft_reject_inet nft_numgen"
        }
        _ => {
            return Error::System {
                operation: format!("nf_tables: add {what}"),
                cause: source,
            };
        }
    };
    Error::Unsupported(format!(
        "the lab needs nftables with connection tracking, and this kernel refused {what} \
         ({source}): load the modules as root with `modprobe -a {module}`"
    ))
}

/// What [`nftables`] is told of a refused table.
pub(super) const TABLE: &str = "the table";

/// `nf_conntrack` is not there.
pub(super) fn conntrack(path: &Path) -> Error {
    Error::Unsupported(format!(
        "the lab needs connection tracking, and {} does not exist: load the module as root with \
         `modprobe nf_conntrack`",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(errno: i32, name: &str, value: &str) -> String {
        explain_namespace(io::Error::from_raw_os_error(errno), |asked| {
            (asked == name).then(|| value.to_owned())
        })
        .to_string()
    }

    #[test]
    fn a_refused_namespace_names_the_sysctl_that_forbids_it() {
        for (errno, name, value) in [
            (libc::ENOSPC, "user/max_user_namespaces", "0"),
            (libc::EPERM, "kernel/unprivileged_userns_clone", "0"),
            (
                libc::EPERM,
                "kernel/apparmor_restrict_unprivileged_userns",
                "1",
            ),
            (
                libc::EACCES,
                "kernel/apparmor_restrict_unprivileged_userns",
                "1",
            ),
        ] {
            let text = explained(errno, name, value);
            assert!(text.contains(&name.replace('/', ".")), "{text}");
            assert!(text.contains("sudo"), "{text}");
        }
    }

    #[test]
    fn without_a_known_sysctl_the_remedy_is_privilege() {
        assert!(explained(libc::EPERM, "", "").contains("CAP_SYS_ADMIN"));
        assert!(explained(libc::ENOSPC, "", "").contains("limit"));
        assert!(matches!(
            explain_namespace(io::Error::from_raw_os_error(libc::EMFILE), |_| None),
            Error::System { .. }
        ));
    }

    #[test]
    fn a_missing_module_is_named() {
        let error = |errno| io::Error::from_raw_os_error(errno);
        assert!(
            veth(error(libc::EOPNOTSUPP))
                .to_string()
                .contains("modprobe veth")
        );
        assert!(
            nftables(TABLE, error(libc::EINVAL))
                .to_string()
                .contains("nf_tables")
        );
        assert!(
            nftables("rule", error(libc::ENOENT))
                .to_string()
                .contains("nft_ct")
        );
        assert!(
            conntrack(Path::new("/x"))
                .to_string()
                .contains("nf_conntrack")
        );
    }
}
