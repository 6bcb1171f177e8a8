
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'kalive' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'kalive'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'kalive' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to print the result')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to print the result')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to colour the result (also: the environment variable NO_COLOR)')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'When to tell on stderr how a long run goes')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('inspect', 'inspect', [CompletionResultType]::ParameterValue, 'Show this machine''s keepalive settings and which TCP connections they protect')
            [CompletionResult]::new('probe', 'probe', [CompletionResultType]::ParameterValue, 'Connect, and see how soon this host notices a dead peer, and with which error')
            [CompletionResult]::new('hold', 'hold', [CompletionResultType]::ParameterValue, 'Measure after how much silence a path forgets a connection, and which keepalive settings prevent that')
            [CompletionResult]::new('lab', 'lab', [CompletionResultType]::ParameterValue, 'Run a program, or a demonstration, on a private network with a NAT whose behaviour is known')
            [CompletionResult]::new('serve', 'serve', [CompletionResultType]::ParameterValue, 'Be the far end of kalive hold: hold sessions, echo, speak when told to')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print the completion script of a shell')
            [CompletionResult]::new('man', 'man', [CompletionResultType]::ParameterValue, 'Print a manual page')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'kalive;inspect' {
            [CompletionResult]::new('--survives', '--survives', [CompletionResultType]::ParameterName, 'Would each established connection outlive a middlebox that forgets it after so much silence? Needs two keepalive probes within the time, late timers counted in. Exit status 1 if any is at risk')
            [CompletionResult]::new('--state', '--state', [CompletionResultType]::ParameterName, 'Only sockets in these states: established, listen, time-wait, ... or all [default: all, with -s established]')
            [CompletionResult]::new('--local', '--local', [CompletionResultType]::ParameterName, 'Only sockets with this local ADDRESS, ADDRESS/LENGTH, :PORT or ADDRESS:PORT; repeat for any of several')
            [CompletionResult]::new('--peer', '--peer', [CompletionResultType]::ParameterName, 'Only sockets with this peer; written like --local')
            [CompletionResult]::new('--pid', '--pid', [CompletionResultType]::ParameterName, 'Only sockets that this process holds')
            [CompletionResult]::new('--process', '--process', [CompletionResultType]::ParameterName, 'Only sockets that a process of this name holds')
            [CompletionResult]::new('--user', '--user', [CompletionResultType]::ParameterName, 'Only sockets of this user, by name or number')
            [CompletionResult]::new('--keepalive', '--keepalive', [CompletionResultType]::ParameterName, 'Only sockets whose keepalive timer runs, does not run, or is hidden')
            [CompletionResult]::new('--netns', '--netns', [CompletionResultType]::ParameterName, 'Look into another network namespace: that of a process, a path, or a name that ip-netns(8) knows')
            [CompletionResult]::new('--source', '--source', [CompletionResultType]::ParameterName, 'Where the sockets come from: the kernel''s sock_diag, or /proc/net/tcp and tcp6')
            [CompletionResult]::new('--proc', '--proc', [CompletionResultType]::ParameterName, 'Read this copy of /proc instead of the live one; implies --source proc')
            [CompletionResult]::new('--columns', '--columns', [CompletionResultType]::ParameterName, 'Which columns -s shows, in which order; owners are looked up only if one needs them')
            [CompletionResult]::new('--sort', '--sort', [CompletionResultType]::ParameterName, 'Sort the rows of -s; they then take memory, and come at the end')
            [CompletionResult]::new('--top', '--top', [CompletionResultType]::ParameterName, 'How many programs are named in summaries and metrics; the rest is summed up')
            [CompletionResult]::new('--watch', '--watch', [CompletionResultType]::ParameterName, 'Repeat so often: in place on a terminal, where ~ marks what changed, else as NDJSON')
            [CompletionResult]::new('--textfile', '--textfile', [CompletionResultType]::ParameterName, 'Write -o openmetrics to this file, atomically')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to print the result')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to print the result')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to colour the result (also: the environment variable NO_COLOR)')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'When to tell on stderr how a long run goes')
            [CompletionResult]::new('-s', '-s', [CompletionResultType]::ParameterName, 'List the sockets, one a row')
            [CompletionResult]::new('--sockets', '--sockets', [CompletionResultType]::ParameterName, 'List the sockets, one a row')
            [CompletionResult]::new('--options', '--options', [CompletionResultType]::ParameterName, 'Read each socket''s own SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT and TCP_USER_TIMEOUT through a process that holds it (Linux 5.6, and the rights of ptrace); nothing is changed')
            [CompletionResult]::new('--strict', '--strict', [CompletionResultType]::ParameterName, 'With --survives: exit status 2 if none is at risk but some are unknown')
            [CompletionResult]::new('--all-netns', '--all-netns', [CompletionResultType]::ParameterName, 'Look into every network namespace that a process lives in or ip-netns(8) keeps')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'kalive;probe' {
            [CompletionResult]::new('--idle', '--idle', [CompletionResultType]::ParameterName, 'TCP_KEEPIDLE: silence before the first keepalive probe')
            [CompletionResult]::new('--interval', '--interval', [CompletionResultType]::ParameterName, 'TCP_KEEPINTVL: time between unanswered probes')
            [CompletionResult]::new('--count', '--count', [CompletionResultType]::ParameterName, 'TCP_KEEPCNT: unanswered probes that end the connection')
            [CompletionResult]::new('--user-timeout', '--user-timeout', [CompletionResultType]::ParameterName, 'TCP_USER_TIMEOUT: replaces the count, and limits unacknowledged data; or off')
            [CompletionResult]::new('--rounds', '--rounds', [CompletionResultType]::ParameterName, 'End well after this many answered rounds; 0: go on until it dies [default: 3, with --for 0]')
            [CompletionResult]::new('--for', '--for', [CompletionResultType]::ParameterName, 'End well after so long')
            [CompletionResult]::new('--require', '--require', [CompletionResultType]::ParameterName, 'Which outcome of every target is success')
            [CompletionResult]::new('--send', '--send', [CompletionResultType]::ParameterName, 'Send this on the connection, and again every --heartbeat; \r \n \t \\ \xNN are understood, @FILE is read')
            [CompletionResult]::new('--expect', '--expect', [CompletionResultType]::ParameterName, 'An answer counts if it contains this text [default: any answer does]')
            [CompletionResult]::new('--heartbeat', '--heartbeat', [CompletionResultType]::ParameterName, 'How often, and how long an answer may take')
            [CompletionResult]::new('--heartbeat-preset', '--heartbeat-preset', [CompletionResultType]::ParameterName, 'A harmless request and its answer, ready-made')
            [CompletionResult]::new('--connect-timeout', '--connect-timeout', [CompletionResultType]::ParameterName, 'How long one address may take to connect')
            [CompletionResult]::new('--bind', '--bind', [CompletionResultType]::ParameterName, 'Connect from this address')
            [CompletionResult]::new('--interface', '--interface', [CompletionResultType]::ParameterName, 'Connect through this interface (SO_BINDTODEVICE)')
            [CompletionResult]::new('--svg', '--svg', [CompletionResultType]::ParameterName, 'Write a picture of the result to this file (SVG)')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to print the result')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to print the result')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to colour the result (also: the environment variable NO_COLOR)')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'When to tell on stderr how a long run goes')
            [CompletionResult]::new('--system', '--system', [CompletionResultType]::ParameterName, 'Set SO_KEEPALIVE only and leave the values to the sysctls')
            [CompletionResult]::new('--in-flight', '--in-flight', [CompletionResultType]::ParameterName, 'Keep a byte (or --send) unacknowledged when the path goes: retransmission rules apply, not keepalive')
            [CompletionResult]::new('--icmp-errors', '--icmp-errors', [CompletionResultType]::ParameterName, 'Take ICMP errors at once (IP_RECVERR), though the kernel would go on trying')
            [CompletionResult]::new('-4', '-4', [CompletionResultType]::ParameterName, 'Use IPv4 only')
            [CompletionResult]::new('--ipv4', '--ipv4', [CompletionResultType]::ParameterName, 'Use IPv4 only')
            [CompletionResult]::new('-6', '-6', [CompletionResultType]::ParameterName, 'Use IPv6 only')
            [CompletionResult]::new('--ipv6', '--ipv6', [CompletionResultType]::ParameterName, 'Use IPv6 only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'kalive;hold' {
            [CompletionResult]::new('--max', '--max', [CompletionResultType]::ParameterName, 'The longest silence to try [default: that of --at-least, else 2h]')
            [CompletionResult]::new('--min', '--min', [CompletionResultType]::ParameterName, 'The shortest silence to try')
            [CompletionResult]::new('--resolution', '--resolution', [CompletionResultType]::ParameterName, 'How exactly the limit is to be found')
            [CompletionResult]::new('--direction', '--direction', [CompletionResultType]::ParameterName, 'Who speaks after the silence; inbound needs kalive serve at the far end')
            [CompletionResult]::new('--verify', '--verify', [CompletionResultType]::ParameterName, 'Also hold connections with these values of TCP_KEEPIDLE: do keepalives really keep this path open?')
            [CompletionResult]::new('--at-least', '--at-least', [CompletionResultType]::ParameterName, 'Exit with 1 if the path forgets earlier')
            [CompletionResult]::new('--sessions', '--sessions', [CompletionResultType]::ParameterName, 'At most so many connections, for each direction')
            [CompletionResult]::new('--connect-rate', '--connect-rate', [CompletionResultType]::ParameterName, 'Open at most so many connections a second')
            [CompletionResult]::new('--bind', '--bind', [CompletionResultType]::ParameterName, 'Connect from this address')
            [CompletionResult]::new('--interface', '--interface', [CompletionResultType]::ParameterName, 'Connect through this interface')
            [CompletionResult]::new('--record', '--record', [CompletionResultType]::ParameterName, 'Write every event to this file as it happens (NDJSON)')
            [CompletionResult]::new('--svg', '--svg', [CompletionResultType]::ParameterName, 'Write a picture of the result to this file (SVG)')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to print the result')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to print the result')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to colour the result (also: the environment variable NO_COLOR)')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'When to tell on stderr how a long run goes')
            [CompletionResult]::new('-4', '-4', [CompletionResultType]::ParameterName, 'Use IPv4 only')
            [CompletionResult]::new('--ipv4', '--ipv4', [CompletionResultType]::ParameterName, 'Use IPv4 only')
            [CompletionResult]::new('-6', '-6', [CompletionResultType]::ParameterName, 'Use IPv6 only')
            [CompletionResult]::new('--ipv6', '--ipv6', [CompletionResultType]::ParameterName, 'Use IPv6 only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'kalive;lab' {
            [CompletionResult]::new('--nat-timeout', '--nat-timeout', [CompletionResultType]::ParameterName, 'After how much silence the router forgets a connection, in whole seconds')
            [CompletionResult]::new('--on-expiry', '--on-expiry', [CompletionResultType]::ParameterName, 'What the router does with packets of a connection that it has forgotten')
            [CompletionResult]::new('--loss', '--loss', [CompletionResultType]::ParameterName, 'Lose this share of the packets, each way')
            [CompletionResult]::new('--cut-after', '--cut-after', [CompletionResultType]::ParameterName, 'After this time drop everything silently, both ways')
            [CompletionResult]::new('--unreachable-after', '--unreachable-after', [CompletionResultType]::ParameterName, 'After this time answer the client''s packets with ICMP host unreachable')
            [CompletionResult]::new('--reboot-peer-after', '--reboot-peer-after', [CompletionResultType]::ParameterName, 'After this time reboot the server: it forgets its connections and says nothing')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Run this at the server, with sh -c, in place of kalive serve on port 7117')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to print the result')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to print the result')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to colour the result (also: the environment variable NO_COLOR)')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'When to tell on stderr how a long run goes')
            [CompletionResult]::new('--untracked-keepalives', '--untracked-keepalives', [CompletionResultType]::ParameterName, 'Pass TCP segments that are nothing but an ACK without looking: keepalives get through but do not refresh the router''s memory. The router is then a firewall without address translation')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'kalive;serve' {
            [CompletionResult]::new('--listen', '--listen', [CompletionResultType]::ParameterName, 'Where to listen; [::] takes IPv4 too')
            [CompletionResult]::new('--allow', '--allow', [CompletionResultType]::ParameterName, 'Only from these networks; repeat for several [default: from everywhere]')
            [CompletionResult]::new('--max-sessions', '--max-sessions', [CompletionResultType]::ParameterName, 'How many sessions at once')
            [CompletionResult]::new('--max-sessions-per-client', '--max-sessions-per-client', [CompletionResultType]::ParameterName, 'How many of them from one address')
            [CompletionResult]::new('--max-session-age', '--max-session-age', [CompletionResultType]::ParameterName, 'How long a session may last')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to print the result')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to print the result')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to colour the result (also: the environment variable NO_COLOR)')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'When to tell on stderr how a long run goes')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'kalive;completions' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to print the result')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to print the result')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to colour the result (also: the environment variable NO_COLOR)')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'When to tell on stderr how a long run goes')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'kalive;man' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to print the result')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to print the result')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to colour the result (also: the environment variable NO_COLOR)')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'When to tell on stderr how a long run goes')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'kalive;help' {
            [CompletionResult]::new('inspect', 'inspect', [CompletionResultType]::ParameterValue, 'Show this machine''s keepalive settings and which TCP connections they protect')
            [CompletionResult]::new('probe', 'probe', [CompletionResultType]::ParameterValue, 'Connect, and see how soon this host notices a dead peer, and with which error')
            [CompletionResult]::new('hold', 'hold', [CompletionResultType]::ParameterValue, 'Measure after how much silence a path forgets a connection, and which keepalive settings prevent that')
            [CompletionResult]::new('lab', 'lab', [CompletionResultType]::ParameterValue, 'Run a program, or a demonstration, on a private network with a NAT whose behaviour is known')
            [CompletionResult]::new('serve', 'serve', [CompletionResultType]::ParameterValue, 'Be the far end of kalive hold: hold sessions, echo, speak when told to')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print the completion script of a shell')
            [CompletionResult]::new('man', 'man', [CompletionResultType]::ParameterValue, 'Print a manual page')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'kalive;help;inspect' {
            break
        }
        'kalive;help;probe' {
            break
        }
        'kalive;help;hold' {
            break
        }
        'kalive;help;lab' {
            break
        }
        'kalive;help;serve' {
            break
        }
        'kalive;help;completions' {
            break
        }
        'kalive;help;man' {
            break
        }
        'kalive;help;help' {
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
