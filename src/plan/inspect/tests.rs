use clap::Parser as _;

use super::*;
use crate::cli::{Cli, Command};

fn planned(line: &str) -> Result<Plan> {
    let words = ["kalive", "inspect"]
        .into_iter()
        .chain(line.split_whitespace());
    let cli = Cli::try_parse_from(words).unwrap();
    match cli.command {
        Command::Inspect(args) => plan(&args, cli.global.output),
        other => panic!("not an inspection: {other:?}"),
    }
}

const DEFAULT: [Column; 8] = [
    Column::State,
    Column::Local,
    Column::Peer,
    Column::Keepalive,
    Column::Idle,
    Column::Timer,
    Column::User,
    Column::Process,
];

fn summary() -> Plan {
    Plan {
        list: false,
        filter: Filter {
            states: StateSet::ALL,
            local: Vec::new(),
            peer: Vec::new(),
            pid: None,
            process: None,
            user: None,
            keepalive: None,
            no_loopback: false,
        },
        source: Source::Auto,
        columns: DEFAULT.to_vec(),
        columns_chosen: false,
        read: Reading {
            owners: false,
            info: false,
            options: false,
        },
        survives: None,
        strict: false,
        namespaces: Namespaces::Current,
        format: Format::Table,
        sort: None,
        top: 15,
        watch: None,
    }
}

#[test]
fn without_options_only_counts_are_wanted() {
    assert_eq!(planned("").unwrap(), summary());
}

#[test]
fn a_list_is_of_established_connections() {
    let plan = planned("-s").unwrap();
    assert_eq!(plan.filter.states, StateSet::from(State::Established));
    assert!(plan.read.owners && plan.read.info);
}

#[test]
fn owners_and_idle_times_are_read_only_if_needed() {
    let needs = |line| {
        planned(line)
            .map(|plan| (plan.read.owners, plan.read.info))
            .unwrap()
    };
    assert_eq!(needs("-s --columns local,peer"), (false, false));
    assert_eq!(needs("-s --columns local,idle"), (false, true));
    assert_eq!(needs("-s --columns local --pid 1"), (true, false));
    assert_eq!(needs("--process sshd"), (true, false));
}

#[test]
fn a_copy_of_proc_is_read_as_proc() {
    let copy = Source::Copy(PathBuf::from("/tmp/x"));
    assert_eq!(planned("--proc /tmp/x").unwrap().source, copy);
    assert_eq!(planned("--proc /tmp/x --source proc").unwrap().source, copy);
    let error = planned("--proc /tmp/x --source netlink").unwrap_err();
    assert!(matches!(error, Error::Usage(_)), "{error}");
}

#[test]
fn what_is_asked_for_is_shown_and_read() {
    let plan = planned("-s --options --survives 350s --all-netns").unwrap();
    let expected = [
        Column::Local,
        Column::Peer,
        Column::Survives,
        Column::Margin,
        Column::Netns,
        Column::Process,
    ];
    assert_eq!(plan.columns, expected);
    assert!(plan.read.options && plan.read.owners && plan.read.info);
    assert_eq!(plan.survives, Some(Duration::from_secs(350)));
    assert!(planned("-s --columns keepidle").unwrap().read.options);
    assert!(
        planned("--survives 5m").unwrap().read.owners,
        "for the summary by process"
    );
}

#[test]
fn what_contradicts_itself_is_refused() {
    for line in [
        "-s --columns survives",
        "--proc /tmp --options",
        "--proc /tmp --all-netns",
        "--proc /tmp --netns 1",
        "--sort idle",
        "--columns local",
        "--top 3",
        "-s --top 3",
        "-s --sort risk",
        "--watch 10ms",
        "--watch 1s -o json",
        "--watch 1s -o junit --survives 5m",
        "-o junit",
        "--textfile /tmp/x -o junit --survives 5m",
        "--watch 1s -o openmetrics",
        "-s -o openmetrics",
        "--textfile /tmp/x",
        "--textfile /tmp/x -o json",
    ] {
        assert!(matches!(planned(line), Err(Error::Usage(_))), "{line}");
    }
}

#[test]
fn metrics_count_by_process() {
    let plan = planned("-o openmetrics --textfile /x --watch 15s").unwrap();
    assert_eq!(plan.format, Format::Openmetrics(Some(PathBuf::from("/x"))));
    assert!(plan.by_process() && plan.read.owners);
}

#[test]
fn a_process_is_known_by_the_15_bytes_that_the_kernel_keeps() {
    let process = |line| planned(line).map(|plan| plan.filter.process).unwrap();
    let expected = Some(String::from("systemd-timesyn"));
    assert_eq!(process("--process systemd-timesyncd"), expected);
    assert_eq!(process("--process sshd"), Some(String::from("sshd")));
    assert_eq!(as_comm("aaaaaaaaaaaaaaé"), "aaaaaaaaaaaaaa");
}

#[test]
fn what_is_sorted_by_is_read() {
    let read = |line| planned(line).map(|plan| plan.read).unwrap();
    assert!(read("-s --columns local --sort idle").info);
    assert!(read("-s --columns local --sort process").owners);
    assert!(!read("-s --columns local --sort local").owners);
}

#[test]
fn namespaces_by_what_is_given() {
    let target = |line| planned(line).map(|plan| plan.namespaces).unwrap();
    assert_eq!(target("--netns 12"), Namespaces::One(NetnsTarget::Pid(12)));
    let path = NetnsTarget::Path(PathBuf::from("/run/x"));
    assert_eq!(target("--netns /run/x"), Namespaces::One(path));
    let name = NetnsTarget::Name(String::from("blue"));
    assert_eq!(target("--netns blue"), Namespaces::One(name));
    assert_eq!(target("--all-netns"), Namespaces::All);
}
