# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_kalive_global_optspecs
    string join \n o/output= color= progress= h/help V/version
end

function __fish_kalive_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_kalive_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_kalive_using_subcommand
    set -l cmd (__fish_kalive_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c kalive -n "__fish_kalive_needs_command" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people'
json\t'One JSON document at the end'
ndjson\t'One JSON event a line as it happens, the report last'
junit\t'JUnit XML, for CI jobs (probe, hold and inspect --survives)'
openmetrics\t'Gauges, such as for the textfile collector of node_exporter (inspect only)'"
complete -c kalive -n "__fish_kalive_needs_command" -l color -d 'When to colour the result (also: the environment variable NO_COLOR)' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c kalive -n "__fish_kalive_needs_command" -l progress -d 'When to tell on stderr how a long run goes' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c kalive -n "__fish_kalive_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kalive -n "__fish_kalive_needs_command" -s V -l version -d 'Print version'
complete -c kalive -n "__fish_kalive_needs_command" -f -a "inspect" -d 'Show this machine\'s keepalive settings and which TCP connections they protect'
complete -c kalive -n "__fish_kalive_needs_command" -f -a "probe" -d 'Connect, and see how soon this host notices a dead peer, and with which error'
complete -c kalive -n "__fish_kalive_needs_command" -f -a "hold" -d 'Measure after how much silence a path forgets a connection, and which keepalive settings prevent that'
complete -c kalive -n "__fish_kalive_needs_command" -f -a "lab" -d 'Run a program, or a demonstration, on a private network with a NAT whose behaviour is known'
complete -c kalive -n "__fish_kalive_needs_command" -f -a "serve" -d 'Be the far end of kalive hold: hold sessions, echo, speak when told to'
complete -c kalive -n "__fish_kalive_needs_command" -f -a "completions" -d 'Print the completion script of a shell'
complete -c kalive -n "__fish_kalive_needs_command" -f -a "man" -d 'Print a manual page'
complete -c kalive -n "__fish_kalive_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kalive -n "__fish_kalive_using_subcommand inspect" -l survives -d 'Would each established connection outlive a middlebox that forgets it after so much silence? Needs two keepalive probes within the time, late timers counted in. Exit status 1 if any is at risk' -r
complete -c kalive -n "__fish_kalive_using_subcommand inspect" -l state -d 'Only sockets in these states: established, listen, time-wait, ... or all [default: all, with -s established]' -r
complete -c kalive -n "__fish_kalive_using_subcommand inspect" -l local -d 'Only sockets with this local ADDRESS, ADDRESS/LENGTH, :PORT or ADDRESS:PORT; repeat for any of several' -r
complete -c kalive -n "__fish_kalive_using_subcommand inspect" -l peer -d 'Only sockets with this peer; written like --local' -r
complete -c kalive -n "__fish_kalive_using_subcommand inspect" -l pid -d 'Only sockets that this process holds' -r
complete -c kalive -n "__fish_kalive_using_subcommand inspect" -l process -d 'Only sockets that a process of this name holds' -r
complete -c kalive -n "__fish_kalive_using_subcommand inspect" -l user -d 'Only sockets of this user, by name or number' -r
complete -c kalive -n "__fish_kalive_using_subcommand inspect" -l keepalive -d 'Only sockets whose keepalive timer runs, does not run, or is hidden' -r -f -a "on\t'The keepalive timer runs'
off\t'No timer runs'
unknown\t'The armed timer does not tell'"
complete -c kalive -n "__fish_kalive_using_subcommand inspect" -l netns -d 'Look into another network namespace: that of a process, a path, or a name that ip-netns(8) knows' -r
complete -c kalive -n "__fish_kalive_using_subcommand inspect" -l source -d 'Where the sockets come from: the kernel\'s sock_diag, or /proc/net/tcp and tcp6' -r -f -a "auto\t'sock_diag, or /proc where the kernel lacks it'
netlink\t'sock_diag'
proc\t'/proc/net/tcp and tcp6: no idle times, no cookies'"
complete -c kalive -n "__fish_kalive_using_subcommand inspect" -l proc -d 'Read this copy of /proc instead of the live one; implies --source proc' -r -F
complete -c kalive -n "__fish_kalive_using_subcommand inspect" -l columns -d 'Which columns -s shows, in which order; owners are looked up only if one needs them' -r -f -a "state\t'The TCP state'
local\t'The socket\'s own address'
peer\t'The peer\'s address'
keepalive\t'on, off, or ? where the armed timer does not tell'
idle\t'Silence so far, by tcp_info'
timer\t'The armed timer, what is left of it, and retransmissions or unanswered probes'
user\t'The owner\'s name'
process\t'Every holder: name, pid and descriptor'
options\t'TCP_KEEPIDLE/TCP_KEEPINTVL/TCP_KEEPCNT, then TCP_USER_TIMEOUT if set; * marks what is surely the socket\'s own, not the sysctl\'s'
notices\t'How soon it notices a silent peer, with every timer on time; >= with data in flight, whose retransmissions decide'
keepidle\t'TCP_KEEPIDLE'
interval\t'TCP_KEEPINTVL'
count\t'TCP_KEEPCNT'
user-timeout\t'TCP_USER_TIMEOUT'
survives\t'The verdict of --survives and its reason'
margin\t'The verdict\'s margin: how long before the time is up the second probe is sent'
netns\t'The network namespace: its name, its container, or its number'
recv-q\t'The receive queue in bytes; for a listener connections waiting'
send-q\t'The send queue in bytes; for a listener the limit of its queue'
uid\t'The owner\'s number'
inode\t'The inode'
cookie\t'The kernel\'s unique number for the socket (SO_COOKIE)'"
complete -c kalive -n "__fish_kalive_using_subcommand inspect" -l sort -d 'Sort the rows of -s; they then take memory, and come at the end' -r -f -a "idle\t'The longest silence first'
risk\t'At risk first, then unknown; the least margin first'
process\t'The name of the first holder'
user\t'The name of the owner'
state\t'The TCP state'
local\t'The socket\'s own address'
peer\t'The peer\'s address'"
complete -c kalive -n "__fish_kalive_using_subcommand inspect" -l top -d 'How many programs are named in summaries and metrics; the rest is summed up' -r
complete -c kalive -n "__fish_kalive_using_subcommand inspect" -l watch -d 'Repeat so often: in place on a terminal, where ~ marks what changed, else as NDJSON' -r
complete -c kalive -n "__fish_kalive_using_subcommand inspect" -l textfile -d 'Write -o openmetrics to this file, atomically' -r -F
complete -c kalive -n "__fish_kalive_using_subcommand inspect" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people'
json\t'One JSON document at the end'
ndjson\t'One JSON event a line as it happens, the report last'
junit\t'JUnit XML, for CI jobs (probe, hold and inspect --survives)'
openmetrics\t'Gauges, such as for the textfile collector of node_exporter (inspect only)'"
complete -c kalive -n "__fish_kalive_using_subcommand inspect" -l color -d 'When to colour the result (also: the environment variable NO_COLOR)' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c kalive -n "__fish_kalive_using_subcommand inspect" -l progress -d 'When to tell on stderr how a long run goes' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c kalive -n "__fish_kalive_using_subcommand inspect" -s s -l sockets -d 'List the sockets, one a row'
complete -c kalive -n "__fish_kalive_using_subcommand inspect" -l options -d 'Read each socket\'s own SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT and TCP_USER_TIMEOUT through a process that holds it (Linux 5.6, and the rights of ptrace); nothing is changed'
complete -c kalive -n "__fish_kalive_using_subcommand inspect" -l strict -d 'With --survives: exit status 2 if none is at risk but some are unknown'
complete -c kalive -n "__fish_kalive_using_subcommand inspect" -l all-netns -d 'Look into every network namespace that a process lives in or ip-netns(8) keeps'
complete -c kalive -n "__fish_kalive_using_subcommand inspect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kalive -n "__fish_kalive_using_subcommand probe" -l idle -d 'TCP_KEEPIDLE: silence before the first keepalive probe' -r
complete -c kalive -n "__fish_kalive_using_subcommand probe" -l interval -d 'TCP_KEEPINTVL: time between unanswered probes' -r
complete -c kalive -n "__fish_kalive_using_subcommand probe" -l count -d 'TCP_KEEPCNT: unanswered probes that end the connection' -r
complete -c kalive -n "__fish_kalive_using_subcommand probe" -l user-timeout -d 'TCP_USER_TIMEOUT: replaces the count, and limits unacknowledged data; or off' -r
complete -c kalive -n "__fish_kalive_using_subcommand probe" -l rounds -d 'End well after this many answered rounds; 0: go on until it dies [default: 3, with --for 0]' -r
complete -c kalive -n "__fish_kalive_using_subcommand probe" -l for -d 'End well after so long' -r
complete -c kalive -n "__fish_kalive_using_subcommand probe" -l require -d 'Which outcome of every target is success' -r -f -a "alive\t'It answered as long as was asked'
timed-out\t'Nothing came any more: ETIMEDOUT, or no answer within --connect-timeout'
reset\t'The peer, or something on the path, sent a RST: ECONNRESET'
unreachable\t'The path ends: EHOSTUNREACH, ENETUNREACH and their like'
refused\t'Nobody listens: ECONNREFUSED'
closed\t'The peer closed the connection with a FIN'
unresponsive\t'The kernel at the far end answers, the service does not'"
complete -c kalive -n "__fish_kalive_using_subcommand probe" -l send -d 'Send this on the connection, and again every --heartbeat; \\r \\n \\t \\\\ \\xNN are understood, @FILE is read' -r
complete -c kalive -n "__fish_kalive_using_subcommand probe" -l expect -d 'An answer counts if it contains this text [default: any answer does]' -r
complete -c kalive -n "__fish_kalive_using_subcommand probe" -l heartbeat -d 'How often, and how long an answer may take' -r
complete -c kalive -n "__fish_kalive_using_subcommand probe" -l heartbeat-preset -d 'A harmless request and its answer, ready-made' -r -f -a "redis\t'PING; any answer counts, also that authentication is wanted'
smtp\t'NOOP, answered with 250'
http\t'HEAD / over HTTP/1.1'
postgres\t'An SSLRequest, once: PostgreSQL takes no second one'"
complete -c kalive -n "__fish_kalive_using_subcommand probe" -l connect-timeout -d 'How long one address may take to connect' -r
complete -c kalive -n "__fish_kalive_using_subcommand probe" -l bind -d 'Connect from this address' -r
complete -c kalive -n "__fish_kalive_using_subcommand probe" -l interface -d 'Connect through this interface (SO_BINDTODEVICE)' -r
complete -c kalive -n "__fish_kalive_using_subcommand probe" -l svg -d 'Write a picture of the result to this file (SVG)' -r -F
complete -c kalive -n "__fish_kalive_using_subcommand probe" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people'
json\t'One JSON document at the end'
ndjson\t'One JSON event a line as it happens, the report last'
junit\t'JUnit XML, for CI jobs (probe, hold and inspect --survives)'
openmetrics\t'Gauges, such as for the textfile collector of node_exporter (inspect only)'"
complete -c kalive -n "__fish_kalive_using_subcommand probe" -l color -d 'When to colour the result (also: the environment variable NO_COLOR)' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c kalive -n "__fish_kalive_using_subcommand probe" -l progress -d 'When to tell on stderr how a long run goes' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c kalive -n "__fish_kalive_using_subcommand probe" -l system -d 'Set SO_KEEPALIVE only and leave the values to the sysctls'
complete -c kalive -n "__fish_kalive_using_subcommand probe" -l in-flight -d 'Keep a byte (or --send) unacknowledged when the path goes: retransmission rules apply, not keepalive'
complete -c kalive -n "__fish_kalive_using_subcommand probe" -l icmp-errors -d 'Take ICMP errors at once (IP_RECVERR), though the kernel would go on trying'
complete -c kalive -n "__fish_kalive_using_subcommand probe" -s 4 -l ipv4 -d 'Use IPv4 only'
complete -c kalive -n "__fish_kalive_using_subcommand probe" -s 6 -l ipv6 -d 'Use IPv6 only'
complete -c kalive -n "__fish_kalive_using_subcommand probe" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kalive -n "__fish_kalive_using_subcommand hold" -l max -d 'The longest silence to try [default: that of --at-least, else 2h]' -r
complete -c kalive -n "__fish_kalive_using_subcommand hold" -l min -d 'The shortest silence to try' -r
complete -c kalive -n "__fish_kalive_using_subcommand hold" -l resolution -d 'How exactly the limit is to be found' -r
complete -c kalive -n "__fish_kalive_using_subcommand hold" -l direction -d 'Who speaks after the silence; inbound needs kalive serve at the far end' -r -f -a "auto\t'Both if the far end is kalive serve, else this side'
outbound\t'This side'
inbound\t'The far end'
both\t'Both'"
complete -c kalive -n "__fish_kalive_using_subcommand hold" -l verify -d 'Also hold connections with these values of TCP_KEEPIDLE: do keepalives really keep this path open?' -r
complete -c kalive -n "__fish_kalive_using_subcommand hold" -l at-least -d 'Exit with 1 if the path forgets earlier' -r
complete -c kalive -n "__fish_kalive_using_subcommand hold" -l sessions -d 'At most so many connections, for each direction' -r
complete -c kalive -n "__fish_kalive_using_subcommand hold" -l connect-rate -d 'Open at most so many connections a second' -r
complete -c kalive -n "__fish_kalive_using_subcommand hold" -l bind -d 'Connect from this address' -r
complete -c kalive -n "__fish_kalive_using_subcommand hold" -l interface -d 'Connect through this interface' -r
complete -c kalive -n "__fish_kalive_using_subcommand hold" -l record -d 'Write every event to this file as it happens (NDJSON)' -r -F
complete -c kalive -n "__fish_kalive_using_subcommand hold" -l svg -d 'Write a picture of the result to this file (SVG)' -r -F
complete -c kalive -n "__fish_kalive_using_subcommand hold" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people'
json\t'One JSON document at the end'
ndjson\t'One JSON event a line as it happens, the report last'
junit\t'JUnit XML, for CI jobs (probe, hold and inspect --survives)'
openmetrics\t'Gauges, such as for the textfile collector of node_exporter (inspect only)'"
complete -c kalive -n "__fish_kalive_using_subcommand hold" -l color -d 'When to colour the result (also: the environment variable NO_COLOR)' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c kalive -n "__fish_kalive_using_subcommand hold" -l progress -d 'When to tell on stderr how a long run goes' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c kalive -n "__fish_kalive_using_subcommand hold" -s 4 -l ipv4 -d 'Use IPv4 only'
complete -c kalive -n "__fish_kalive_using_subcommand hold" -s 6 -l ipv6 -d 'Use IPv6 only'
complete -c kalive -n "__fish_kalive_using_subcommand hold" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kalive -n "__fish_kalive_using_subcommand lab" -l nat-timeout -d 'After how much silence the router forgets a connection, in whole seconds' -r
complete -c kalive -n "__fish_kalive_using_subcommand lab" -l on-expiry -d 'What the router does with packets of a connection that it has forgotten' -r -f -a "drop\t'Drop them silently'
reset\t'Answer with a RST'
forget\t'As Linux does by default: a late packet of the client makes a new entry'"
complete -c kalive -n "__fish_kalive_using_subcommand lab" -l loss -d 'Lose this share of the packets, each way' -r
complete -c kalive -n "__fish_kalive_using_subcommand lab" -l cut-after -d 'After this time drop everything silently, both ways' -r
complete -c kalive -n "__fish_kalive_using_subcommand lab" -l unreachable-after -d 'After this time answer the client\'s packets with ICMP host unreachable' -r
complete -c kalive -n "__fish_kalive_using_subcommand lab" -l reboot-peer-after -d 'After this time reboot the server: it forgets its connections and says nothing' -r
complete -c kalive -n "__fish_kalive_using_subcommand lab" -l server -d 'Run this at the server, with sh -c, in place of kalive serve on port 7117' -r
complete -c kalive -n "__fish_kalive_using_subcommand lab" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people'
json\t'One JSON document at the end'
ndjson\t'One JSON event a line as it happens, the report last'
junit\t'JUnit XML, for CI jobs (probe, hold and inspect --survives)'
openmetrics\t'Gauges, such as for the textfile collector of node_exporter (inspect only)'"
complete -c kalive -n "__fish_kalive_using_subcommand lab" -l color -d 'When to colour the result (also: the environment variable NO_COLOR)' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c kalive -n "__fish_kalive_using_subcommand lab" -l progress -d 'When to tell on stderr how a long run goes' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c kalive -n "__fish_kalive_using_subcommand lab" -l untracked-keepalives -d 'Pass TCP segments that are nothing but an ACK without looking: keepalives get through but do not refresh the router\'s memory. The router is then a firewall without address translation'
complete -c kalive -n "__fish_kalive_using_subcommand lab" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kalive -n "__fish_kalive_using_subcommand serve" -l listen -d 'Where to listen; [::] takes IPv4 too' -r
complete -c kalive -n "__fish_kalive_using_subcommand serve" -l allow -d 'Only from these networks; repeat for several [default: from everywhere]' -r
complete -c kalive -n "__fish_kalive_using_subcommand serve" -l max-sessions -d 'How many sessions at once' -r
complete -c kalive -n "__fish_kalive_using_subcommand serve" -l max-sessions-per-client -d 'How many of them from one address' -r
complete -c kalive -n "__fish_kalive_using_subcommand serve" -l max-session-age -d 'How long a session may last' -r
complete -c kalive -n "__fish_kalive_using_subcommand serve" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people'
json\t'One JSON document at the end'
ndjson\t'One JSON event a line as it happens, the report last'
junit\t'JUnit XML, for CI jobs (probe, hold and inspect --survives)'
openmetrics\t'Gauges, such as for the textfile collector of node_exporter (inspect only)'"
complete -c kalive -n "__fish_kalive_using_subcommand serve" -l color -d 'When to colour the result (also: the environment variable NO_COLOR)' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c kalive -n "__fish_kalive_using_subcommand serve" -l progress -d 'When to tell on stderr how a long run goes' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c kalive -n "__fish_kalive_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kalive -n "__fish_kalive_using_subcommand completions" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people'
json\t'One JSON document at the end'
ndjson\t'One JSON event a line as it happens, the report last'
junit\t'JUnit XML, for CI jobs (probe, hold and inspect --survives)'
openmetrics\t'Gauges, such as for the textfile collector of node_exporter (inspect only)'"
complete -c kalive -n "__fish_kalive_using_subcommand completions" -l color -d 'When to colour the result (also: the environment variable NO_COLOR)' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c kalive -n "__fish_kalive_using_subcommand completions" -l progress -d 'When to tell on stderr how a long run goes' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c kalive -n "__fish_kalive_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kalive -n "__fish_kalive_using_subcommand man" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people'
json\t'One JSON document at the end'
ndjson\t'One JSON event a line as it happens, the report last'
junit\t'JUnit XML, for CI jobs (probe, hold and inspect --survives)'
openmetrics\t'Gauges, such as for the textfile collector of node_exporter (inspect only)'"
complete -c kalive -n "__fish_kalive_using_subcommand man" -l color -d 'When to colour the result (also: the environment variable NO_COLOR)' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c kalive -n "__fish_kalive_using_subcommand man" -l progress -d 'When to tell on stderr how a long run goes' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c kalive -n "__fish_kalive_using_subcommand man" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kalive -n "__fish_kalive_using_subcommand help; and not __fish_seen_subcommand_from inspect probe hold lab serve completions man help" -f -a "inspect" -d 'Show this machine\'s keepalive settings and which TCP connections they protect'
complete -c kalive -n "__fish_kalive_using_subcommand help; and not __fish_seen_subcommand_from inspect probe hold lab serve completions man help" -f -a "probe" -d 'Connect, and see how soon this host notices a dead peer, and with which error'
complete -c kalive -n "__fish_kalive_using_subcommand help; and not __fish_seen_subcommand_from inspect probe hold lab serve completions man help" -f -a "hold" -d 'Measure after how much silence a path forgets a connection, and which keepalive settings prevent that'
complete -c kalive -n "__fish_kalive_using_subcommand help; and not __fish_seen_subcommand_from inspect probe hold lab serve completions man help" -f -a "lab" -d 'Run a program, or a demonstration, on a private network with a NAT whose behaviour is known'
complete -c kalive -n "__fish_kalive_using_subcommand help; and not __fish_seen_subcommand_from inspect probe hold lab serve completions man help" -f -a "serve" -d 'Be the far end of kalive hold: hold sessions, echo, speak when told to'
complete -c kalive -n "__fish_kalive_using_subcommand help; and not __fish_seen_subcommand_from inspect probe hold lab serve completions man help" -f -a "completions" -d 'Print the completion script of a shell'
complete -c kalive -n "__fish_kalive_using_subcommand help; and not __fish_seen_subcommand_from inspect probe hold lab serve completions man help" -f -a "man" -d 'Print a manual page'
complete -c kalive -n "__fish_kalive_using_subcommand help; and not __fish_seen_subcommand_from inspect probe hold lab serve completions man help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
