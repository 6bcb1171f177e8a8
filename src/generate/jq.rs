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

const LAB: [Jq; 1] = [Jq {
    question: "What was measured, and is it what the network does?",
    command: "kalive lab -o json",
    options: "-r",
    filter: ".tools[] | [.tool, .truth, .measured, .agrees] | @tsv",
}];

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
