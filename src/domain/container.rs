//! The container that a process runs in, as the path of its control group tells. Runtimes name groups by
//! convention only: what follows none of them is no container to us.

/// Such as `docker:0123456789ab` or `lxc:web`, from the contents of /proc/PID/cgroup.
pub(crate) fn name(cgroup: &str) -> Option<String> {
    cgroup
        .lines()
        .filter_map(|line| line.splitn(3, ':').nth(2))
        .find_map(|path| {
            let mut parts = path.split('/').filter(|part| !part.is_empty()).rev();
            // The innermost group that says so; processes may have groups of their own below it.
            let parts: Vec<&str> = parts.by_ref().collect();
            parts
                .iter()
                .enumerate()
                .find_map(|(index, part)| part_name(part, parts.get(index + 1).copied()))
        })
}

/// What one directory of the path says; `above` is the one that it lies in.
fn part_name(part: &str, above: Option<&str>) -> Option<String> {
    let bare = part
        .strip_suffix(".scope")
        .or_else(|| part.strip_suffix(".service"))
        .unwrap_or(part);
    if let Some(name) = bare.strip_prefix("lxc.payload.") {
        return Some(format!("lxc:{name}"));
    }
    if let Some(name) = bare.strip_prefix("machine-") {
        return Some(format!("machine:{name}"));
    }
    match (above, bare) {
        (Some("lxc"), name) => return Some(format!("lxc:{name}")),
        (Some("machine.slice"), name) if !name.contains('-') => {
            return Some(format!("machine:{name}"));
        }
        _ => {}
    }
    let (runtime, id) = bare
        .rsplit_once(['-', ':'])
        .map_or((None, bare), |(runtime, id)| (Some(runtime), id));
    let id = short_id(id)?;
    let runtime = match (runtime, above) {
        (Some(runtime), _) => runtime.rsplit(':').next().unwrap_or(runtime),
        (None, Some("docker")) => "docker",
        (None, Some(above)) if above.contains("pod") => "kubernetes",
        (None, _) => "container",
    };
    Some(format!("{runtime}:{id}"))
}

/// The first 12 digits of a container's id, by which its runtime knows it too.
fn short_id(id: &str) -> Option<&str> {
    let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    id.get(..12).filter(|_| is_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::attack_text;

    #[test]
    fn the_conventions_of_the_runtimes() {
        let id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        for (cgroup, expected) in [
            (
                format!("0::/system.slice/docker-{id}.scope"),
                Some("docker:0123456789ab"),
            ),
            (
                format!("12:memory:/docker/{id}\n0::/docker/{id}"),
                Some("docker:0123456789ab"),
            ),
            (
                format!("0::/machine.slice/libpod-{id}.scope/container"),
                Some("libpod:0123456789ab"),
            ),
            (
                format!("0::/kubepods.slice/kubepods-pod1_2.slice/cri-containerd-{id}.scope"),
                Some("cri-containerd:0123456789ab"),
            ),
            (
                format!("0::/kubepods/burstable/pod1-2-3/{id}"),
                Some("kubernetes:0123456789ab"),
            ),
            (
                format!(
                    "0::/system.slice/containerd.service/kubepods-pod3.slice:cri-containerd:{id}"
                ),
                Some("cri-containerd:0123456789ab"),
            ),
            (
                String::from("0::/lxc.payload.web/system.slice/nginx.service"),
                Some("lxc:web"),
            ),
            (String::from("0::/lxc/web"), Some("lxc:web")),
            (
                String::from("0::/machine.slice/machine-db.scope"),
                Some("machine:db"),
            ),
            (
                String::from("0::/user.slice/user-1000.slice/session-3.scope"),
                None,
            ),
            (String::from("0::/system.slice/ssh.service"), None),
            (String::from("0::/"), None),
            (String::from("nonsense"), None),
            (String::new(), None),
        ] {
            assert_eq!(name(&cgroup).as_deref(), expected, "{cgroup}");
        }
    }

    /// A name has no more in it than the path.
    #[test]
    fn hostile_groups() {
        let id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let groups = [
            format!("12:memory:/docker/{id}\n0::/docker/{id}"),
            format!("0::/kubepods.slice/kubepods-pod1_2.slice/cri-containerd-{id}.scope"),
            "0::/machine.slice/machine-db.scope".to_owned(),
            "0::/lxc.payload.web/system.slice/nginx.service\n0::/lxc/web".to_owned(),
        ];
        attack_text(&groups.each_ref().map(String::as_str), |cgroup| {
            if let Some(name) = name(cgroup) {
                let (_, which) = name.split_once(':').unwrap();
                assert!(cgroup.contains(which), "{name}");
            }
        });
    }
}
