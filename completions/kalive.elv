
use builtin;
use str;

set edit:completion:arg-completer[kalive] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'kalive'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'kalive'= {
            cand -o 'How to print the result'
            cand --output 'How to print the result'
            cand --color 'When to colour the result (also: the environment variable NO_COLOR)'
            cand --progress 'When to tell on stderr how a long run goes'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand inspect 'Show this machine''s keepalive settings and which TCP connections they protect'
            cand probe 'Connect, and see how soon this host notices a dead peer, and with which error'
            cand hold 'Measure after how much silence a path forgets a connection, and which keepalive settings prevent that'
            cand lab 'Run a program, or a demonstration, on a private network with a NAT whose behaviour is known'
            cand serve 'Be the far end of kalive hold: hold sessions, echo, speak when told to'
            cand completions 'Print the completion script of a shell'
            cand man 'Print a manual page'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'kalive;inspect'= {
            cand --survives 'Would each established connection outlive a middlebox that forgets it after so much silence? Needs two keepalive probes within the time, late timers counted in. Exit status 1 if any is at risk'
            cand --state 'Only sockets in these states: established, listen, time-wait, ... or all [default: all, with -s established]'
            cand --local 'Only sockets with this local ADDRESS, ADDRESS/LENGTH, :PORT or ADDRESS:PORT; repeat for any of several'
            cand --peer 'Only sockets with this peer; written like --local'
            cand --pid 'Only sockets that this process holds'
            cand --process 'Only sockets that a process of this name holds'
            cand --user 'Only sockets of this user, by name or number'
            cand --keepalive 'Only sockets whose keepalive timer runs, does not run, or is hidden'
            cand --netns 'Look into another network namespace: that of a process, a path, or a name that ip-netns(8) knows'
            cand --source 'Where the sockets come from: the kernel''s sock_diag, or /proc/net/tcp and tcp6'
            cand --proc 'Read this copy of /proc instead of the live one; implies --source proc'
            cand --columns 'Which columns -s shows, in which order; owners are looked up only if one needs them'
            cand --sort 'Sort the rows of -s; they then take memory, and come at the end'
            cand --top 'How many programs are named in summaries and metrics; the rest is summed up'
            cand --watch 'Repeat so often: in place on a terminal, where ~ marks what changed, else as NDJSON'
            cand --textfile 'Write -o openmetrics to this file, atomically'
            cand -o 'How to print the result'
            cand --output 'How to print the result'
            cand --color 'When to colour the result (also: the environment variable NO_COLOR)'
            cand --progress 'When to tell on stderr how a long run goes'
            cand -s 'List the sockets, one a row'
            cand --sockets 'List the sockets, one a row'
            cand --options 'Read each socket''s own SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT and TCP_USER_TIMEOUT through a process that holds it (Linux 5.6, and the rights of ptrace); nothing is changed'
            cand --strict 'With --survives: exit status 2 if none is at risk but some are unknown'
            cand --all-netns 'Look into every network namespace that a process lives in or ip-netns(8) keeps'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'kalive;probe'= {
            cand --idle 'TCP_KEEPIDLE: silence before the first keepalive probe'
            cand --interval 'TCP_KEEPINTVL: time between unanswered probes'
            cand --count 'TCP_KEEPCNT: unanswered probes that end the connection'
            cand --user-timeout 'TCP_USER_TIMEOUT: replaces the count, and limits unacknowledged data; or off'
            cand --rounds 'End well after this many answered rounds; 0: go on until it dies [default: 3, with --for 0]'
            cand --for 'End well after so long'
            cand --require 'Which outcome of every target is success'
            cand --send 'Send this on the connection, and again every --heartbeat; \r \n \t \\ \xNN are understood, @FILE is read'
            cand --expect 'An answer counts if it contains this text [default: any answer does]'
            cand --heartbeat 'How often, and how long an answer may take'
            cand --heartbeat-preset 'A harmless request and its answer, ready-made'
            cand --connect-timeout 'How long one address may take to connect'
            cand --bind 'Connect from this address'
            cand --interface 'Connect through this interface (SO_BINDTODEVICE)'
            cand --svg 'Write a picture of the result to this file (SVG)'
            cand -o 'How to print the result'
            cand --output 'How to print the result'
            cand --color 'When to colour the result (also: the environment variable NO_COLOR)'
            cand --progress 'When to tell on stderr how a long run goes'
            cand --system 'Set SO_KEEPALIVE only and leave the values to the sysctls'
            cand --in-flight 'Keep a byte (or --send) unacknowledged when the path goes: retransmission rules apply, not keepalive'
            cand --icmp-errors 'Take ICMP errors at once (IP_RECVERR), though the kernel would go on trying'
            cand -4 'Use IPv4 only'
            cand --ipv4 'Use IPv4 only'
            cand -6 'Use IPv6 only'
            cand --ipv6 'Use IPv6 only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'kalive;hold'= {
            cand --max 'The longest silence to try [default: that of --at-least, else 2h]'
            cand --min 'The shortest silence to try'
            cand --resolution 'How exactly the limit is to be found'
            cand --direction 'Who speaks after the silence; inbound needs kalive serve at the far end'
            cand --verify 'Also hold connections with these values of TCP_KEEPIDLE: do keepalives really keep this path open?'
            cand --at-least 'Exit with 1 if the path forgets earlier'
            cand --sessions 'At most so many connections, for each direction'
            cand --connect-rate 'Open at most so many connections a second'
            cand --bind 'Connect from this address'
            cand --interface 'Connect through this interface'
            cand --record 'Write every event to this file as it happens (NDJSON)'
            cand --svg 'Write a picture of the result to this file (SVG)'
            cand -o 'How to print the result'
            cand --output 'How to print the result'
            cand --color 'When to colour the result (also: the environment variable NO_COLOR)'
            cand --progress 'When to tell on stderr how a long run goes'
            cand -4 'Use IPv4 only'
            cand --ipv4 'Use IPv4 only'
            cand -6 'Use IPv6 only'
            cand --ipv6 'Use IPv6 only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'kalive;lab'= {
            cand --nat-timeout 'After how much silence the router forgets a connection, in whole seconds'
            cand --on-expiry 'What the router does with packets of a connection that it has forgotten'
            cand --loss 'Lose this share of the packets, each way'
            cand --cut-after 'After this time drop everything silently, both ways'
            cand --unreachable-after 'After this time answer the client''s packets with ICMP host unreachable'
            cand --reboot-peer-after 'After this time reboot the server: it forgets its connections and says nothing'
            cand --server 'Run this at the server, with sh -c, in place of kalive serve on port 7117'
            cand -o 'How to print the result'
            cand --output 'How to print the result'
            cand --color 'When to colour the result (also: the environment variable NO_COLOR)'
            cand --progress 'When to tell on stderr how a long run goes'
            cand --untracked-keepalives 'Pass TCP segments that are nothing but an ACK without looking: keepalives get through but do not refresh the router''s memory. The router is then a firewall without address translation'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'kalive;serve'= {
            cand --listen 'Where to listen; [::] takes IPv4 too'
            cand --allow 'Only from these networks; repeat for several [default: from everywhere]'
            cand --max-sessions 'How many sessions at once'
            cand --max-sessions-per-client 'How many of them from one address'
            cand --max-session-age 'How long a session may last'
            cand -o 'How to print the result'
            cand --output 'How to print the result'
            cand --color 'When to colour the result (also: the environment variable NO_COLOR)'
            cand --progress 'When to tell on stderr how a long run goes'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'kalive;completions'= {
            cand -o 'How to print the result'
            cand --output 'How to print the result'
            cand --color 'When to colour the result (also: the environment variable NO_COLOR)'
            cand --progress 'When to tell on stderr how a long run goes'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'kalive;man'= {
            cand -o 'How to print the result'
            cand --output 'How to print the result'
            cand --color 'When to colour the result (also: the environment variable NO_COLOR)'
            cand --progress 'When to tell on stderr how a long run goes'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'kalive;help'= {
            cand inspect 'Show this machine''s keepalive settings and which TCP connections they protect'
            cand probe 'Connect, and see how soon this host notices a dead peer, and with which error'
            cand hold 'Measure after how much silence a path forgets a connection, and which keepalive settings prevent that'
            cand lab 'Run a program, or a demonstration, on a private network with a NAT whose behaviour is known'
            cand serve 'Be the far end of kalive hold: hold sessions, echo, speak when told to'
            cand completions 'Print the completion script of a shell'
            cand man 'Print a manual page'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'kalive;help;inspect'= {
        }
        &'kalive;help;probe'= {
        }
        &'kalive;help;hold'= {
        }
        &'kalive;help;lab'= {
        }
        &'kalive;help;serve'= {
        }
        &'kalive;help;completions'= {
        }
        &'kalive;help;man'= {
        }
        &'kalive;help;help'= {
        }
    ]
    $completions[$command]
}
