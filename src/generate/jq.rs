//! Questions that jq(1) answers from what kalive prints. The manual pages show them; a test runs each.

/// A question, and how it is answered.
#[derive(Clone, Copy, Debug)]
pub struct Jq {
    /// What is asked.
    pub question: &'static str,
    /// The command that prints the JSON.
    pub command: &'static str,
    /// The options of jq.
    pub options: &'static str,
    /// The filter.
    pub filter: &'static str,
}

/// Those of one subcommand.
#[must_use]
pub fn examples(subcommand: &str) -> &'static [Jq] {
    match subcommand {
        "inspect" => &INSPECT,
        "probe" => &PROBE,
        "hold" => &HOLD,
        "lab" => &LAB,
        "serve" => &SERVE,
        _ => &[],
    }
}

const INSPECT: [Jq; 6] = [
    Jq {
        question: "How soon does a socket that sets nothing but SO_KEEPALIVE notice a silent peer?",
        command: "kalive inspect -o json",
        options: "-r",
        filter: ".detection.latest_s // .detection_unknown",
    },
    Jq {
        question: "Which connections have no keepalive, and whose are they?",
        command: "kalive inspect -s -o json",
        options: "-r",
        filter: ".sockets[] | select(.keepalive.enabled == false)
    | [.local, .peer, (.processes[0]?.name // \"?\")] | @tsv",
    },
    Jq {
        question: "Which programs have connections that a firewall of 350 s forgets, and how many?",
        command: "kalive inspect --survives 350s -o json",
        options: "-r",
        filter: ".processes[] | select(.verdicts.at_risk > 0)
    | \"\\(.verdicts.at_risk) \\(.name // \"?\")\"",
    },
    Jq {
        question: "Why are they at risk?",
        command: "kalive inspect -s --options --survives 350s -o ndjson",
        options: "-s",
        filter: "map(.survives.reason? // empty | strings)
    | group_by(.) | map({(.[0]): length}) | add",
    },
    Jq {
        question: "Which sockets do not follow the sysctl, but have a TCP_KEEPIDLE of their own?",
        command: "kalive inspect -s --options -o json",
        options: "-c",
        filter: ".sockets[] | select(.keepalive.origin.idle == \"socket\")
    | [.local, .peer, .keepalive.idle_s]",
    },
    Jq {
        question: "What could not be read?",
        command: "kalive inspect -s --options -o json",
        options: "-r",
        filter: "(.incomplete[] | \"\\(.what): \\(.why)\"),
    ([.sockets[].keepalive.options_unknown // empty] | unique[])",
    },
];

const PROBE: [Jq; 4] = [
    Jq {
        question: "What became of each target, and how soon?",
        command: "kalive probe db:5432 cache:6379 --rounds 0 -o json",
        options: "-r",
        filter: ".targets[]
    | [.target, .outcome // .outcome_unknown, .errno // \"-\", .after_s] | @tsv",
    },
    Jq {
        question: "Which of them is not as it should be, and why?",
        command: "kalive probe db:5432 cache:6379 -o json",
        options: "-r",
        filter: ".targets[] | select(.outcome != \"alive\")
    | \"\\(.target): \\(.explanation)\"",
    },
    Jq {
        question: "What is the longest round trip of the answered probes?",
        command: "kalive probe db:5432 --rounds 10 -o json",
        options: "",
        filter: "[.targets[].rounds[].rtt_s | numbers] | max",
    },
    Jq {
        question: "Which probe went unanswered, and when? As it happens, for a log:",
        command: "kalive probe db:5432 --rounds 0 -o ndjson",
        options: "-r --unbuffered",
        filter: "select(.event == \"round\" and (.answered | not))
    | \"\\(.target): \\(.kind) at \\(.at_s) s\"",
    },
];

const HOLD: [Jq; 4] = [
    Jq {
        question: "After how much silence does the path forget?",
        command: "kalive hold far-end:7117 -o json",
        options: "-r",
        filter: ".directions[]
    | [.direction, .expiry // .expiry_unknown, .timeout.lower_s, .timeout.upper_s]
    | @tsv",
    },
    Jq {
        question: "Which sysctls prevent that?",
        command: "kalive hold far-end:7117 -o json",
        options: "-r",
        filter: ".settings.sysctl[]? // .recommendation_unknown",
    },
    Jq {
        question: "What is to be written into the configuration of a program?",
        command: "kalive hold far-end:7117 -o json",
        options: "-r",
        filter: ".settings.software[]? | \"\\(.software): \\(.setting)\"",
    },
    Jq {
        question: "Which silences were tried, and what came of them? From --record, also while it runs:",
        command: "cat run.ndjson",
        options: "-r",
        filter: "select(.event == \"sample\") | [.direction, .idle_s, .result] | @tsv",
    },
];

const LAB: [Jq; 2] = [
    Jq {
        question: "What was measured, and is it what the network does?",
        command: "kalive lab -o json",
        options: "-r",
        filter: ".tools[] | [.tool, .truth, .measured, .agrees] | @tsv",
    },
    Jq {
        question: "Which silences are survived by keepalive, and by nothing else?",
        command: "kalive lab -o json",
        options: "-c",
        filter: ".connections | group_by(.silence_s)[]
    | {silence_s: .[0].silence_s,
      plain: map(select(.keepalive_s == null).measured) | unique,
      keepalive: map(select(.keepalive_s).measured) | unique}",
    },
];

const SERVE: [Jq; 2] = [
    Jq {
        question: "Who is refused, and why?",
        command: "kalive serve --max-sessions 1 -o ndjson",
        options: "-r --unbuffered",
        filter: "select(.event == \"refused\") | \"\\(.peer) \\(.outcome)\"",
    },
    Jq {
        question: "How long did sessions last?",
        command: "kalive serve -o ndjson",
        options: "-r --unbuffered",
        filter: "select(.event == \"ended\") | \"\\(.after_s) \\(.outcome)\"",
    },
];
