//! The lab's network on the real kernel.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

#[cfg(test)]
#[path = "common/lab.rs"]
mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use common::{in_lab_user_namespace, in_user_namespace};
use kalive::lab::{
    Behaviour, Change, Counter, FarEnd, Lab, Loss, NatTimeout, OnExpiry, Path, Plan, servers,
};
use socket2::{SockRef, TcpKeepalive};

/// Longer than anything on this network takes that happens at all.
const PATIENCE: Duration = Duration::from_secs(2);

fn lab(behaviour: Behaviour) -> Lab {
    let far_end = FarEnd::Echo;
    Lab::build(&Plan { behaviour, far_end }).unwrap()
}

fn seconds(seconds: u64) -> NatTimeout {
    NatTimeout::new(Duration::from_secs(seconds)).unwrap()
}

/// A connection of the lab's client that has carried data both ways.
fn connect(lab: &Lab, server: SocketAddr) -> TcpStream {
    let client = lab.client();
    let stream = client.run(|| TcpStream::connect_timeout(&server, PATIENCE));
    let mut stream = stream.unwrap().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(exchange(&mut stream), Ok(()));
    stream
}

/// Sends a byte and reads it back.
fn exchange(stream: &mut TcpStream) -> Result<(), ErrorKind> {
    stream.write_all(b"k").map_err(|error| error.kind())?;
    let mut byte = [0];
    stream.read_exact(&mut byte).map_err(|error| error.kind())?;
    assert_eq!(&byte, b"k");
    Ok(())
}

/// The silence itself is what is tested: nothing can announce its end but the clock.
fn stay_silent(since: Instant, silence: Duration) {
    std::thread::sleep(silence.saturating_sub(since.elapsed()));
}

/// One connection that speaks before the timeout and one that speaks after it.
fn early_and_late(lab: &Lab, server: SocketAddr) -> [Result<(), ErrorKind>; 2] {
    let mut early = connect(lab, server);
    let mut late = connect(lab, server);
    let start = Instant::now();
    stay_silent(start, Duration::from_millis(1500));
    let alive = exchange(&mut early);
    stay_silent(start, Duration::from_millis(2600));
    [alive, exchange(&mut late)]
}

fn expiry(on_expiry: OnExpiry) -> [[Result<(), ErrorKind>; 2]; 2] {
    let lab = lab(Behaviour {
        nat_timeout: seconds(2),
        on_expiry,
        ..Behaviour::default()
    });
    let results = std::thread::scope(|scope| {
        let lab = &lab;
        servers()
            .map(|server| scope.spawn(move || early_and_late(lab, server)))
            .map(|thread| thread.join().unwrap())
    });
    let late = lab.count(Counter::LateOutbound).unwrap();
    assert_eq!(
        late > 0,
        on_expiry != OnExpiry::Forget,
        "{late} late packets"
    );
    results
}

#[test]
fn a_nat_that_drops_what_is_late_is_silent() {
    in_lab_user_namespace(|| {
        let expected = [Ok(()), Err(ErrorKind::WouldBlock)];
        assert_eq!(expiry(OnExpiry::Drop), [expected; 2]);
    });
}

#[test]
fn a_nat_that_resets_what_is_late_says_so_at_once() {
    in_lab_user_namespace(|| {
        let expected = [Ok(()), Err(ErrorKind::ConnectionReset)];
        assert_eq!(expiry(OnExpiry::Reset), [expected; 2]);
    });
}

#[test]
fn a_nat_as_linux_makes_it_lets_a_late_client_back_in() {
    in_lab_user_namespace(|| assert_eq!(expiry(OnExpiry::Forget), [[Ok(()); 2]; 2]));
}

#[test]
fn a_cut_path_is_silent_and_can_be_restored() {
    in_lab_user_namespace(|| {
        let lab = lab(Behaviour::default());
        for server in servers() {
            let mut stream = connect(&lab, server);
            lab.change(Change::Path(Path::Cut)).unwrap();
            assert_eq!(exchange(&mut stream), Err(ErrorKind::WouldBlock));
            assert!(lab.count(Counter::Cut).unwrap() > 0);
            lab.change(Change::Path(Path::Open)).unwrap();
            // The byte that was cut off arrives with a retransmission.
            stream.set_read_timeout(Some(4 * PATIENCE)).unwrap();
            stream.read_exact(&mut [0]).unwrap();
        }
    });
}

#[test]
fn an_unreachable_host_is_announced_by_icmp() {
    in_lab_user_namespace(|| {
        let lab = lab(Behaviour::default());
        for server in servers() {
            let mut stream = connect(&lab, server);
            lab.change(Change::Path(Path::Unreachable)).unwrap();
            let error = lab
                .client()
                .run(|| TcpStream::connect_timeout(&server, PATIENCE))
                .unwrap()
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::HostUnreachable, "{server}");
            // An established connection keeps the error for when it gives up (kernel-facts.md).
            assert_eq!(exchange(&mut stream), Err(ErrorKind::WouldBlock));
            assert!(lab.count(Counter::Unreachable).unwrap() > 0);
            lab.change(Change::Path(Path::Open)).unwrap();
        }
    });
}

#[test]
fn a_rebooted_peer_answers_the_first_probe_with_a_reset_and_not_before() {
    in_lab_user_namespace(|| {
        let lab = lab(Behaviour::default());
        let mut streams = servers().map(|server| connect(&lab, server));
        lab.change(Change::RebootPeer).unwrap();
        for stream in &mut streams {
            stream
                .set_read_timeout(Some(Duration::from_millis(300)))
                .unwrap();
            let silence = stream.read(&mut [0]).unwrap_err();
            assert_eq!(silence.kind(), ErrorKind::WouldBlock);
            let keepalive = TcpKeepalive::new()
                .with_time(Duration::from_secs(1))
                .with_interval(Duration::from_secs(1));
            SockRef::from(&*stream)
                .set_tcp_keepalive(&keepalive)
                .unwrap();
            stream.set_read_timeout(Some(3 * PATIENCE)).unwrap();
            let reset = stream.read(&mut [0]).unwrap_err();
            assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
        }
        for server in servers() {
            connect(&lab, server);
        }
    });
}

/// How many packets each way of counting is given.
const SENT: u32 = 20_000;

#[test]
fn loss_is_what_was_asked_for() {
    in_lab_user_namespace(|| {
        let lab = lab(Behaviour::default());
        let loss: Loss = "5".parse().unwrap();
        lab.change(Change::LossOutbound(loss)).unwrap();
        for server in servers() {
            let before = lab.count(Counter::LostOutbound).unwrap();
            lab.client()
                .run(|| {
                    let local: SocketAddr = if server.is_ipv4() {
                        "0.0.0.0:0".parse().unwrap()
                    } else {
                        "[::]:0".parse().unwrap()
                    };
                    let socket = std::net::UdpSocket::bind(local).unwrap();
                    for _ in 0..SENT {
                        // Nobody listens: its port unreachable may be reported on any send.
                        let _refused = socket.send_to(b"x", server);
                    }
                })
                .unwrap();
            let missing = lab.count(Counter::LostOutbound).unwrap() - before;
            // 1000 expected with a standard deviation of 31: six of them.
            assert!((815..1185).contains(&missing), "{missing} lost");
        }
        assert_eq!(lab.count(Counter::LostInbound).unwrap(), 0);
    });
}

/// What the client sees of keepalives every second and of data after three seconds, with a memory
/// of two seconds.
fn keepalives_then_data(untracked_keepalives: bool, server: SocketAddr) -> Result<(), ErrorKind> {
    let lab = lab(Behaviour {
        nat_timeout: seconds(2),
        on_expiry: OnExpiry::Reset,
        untracked_keepalives,
        ..Behaviour::default()
    });
    let mut stream = connect(&lab, server);
    let start = Instant::now();
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(1))
        .with_interval(Duration::from_secs(1))
        .with_retries(1);
    SockRef::from(&stream)
        .set_tcp_keepalive(&keepalive)
        .unwrap();
    stay_silent(start, Duration::from_millis(3500));
    // With one try only, a single unanswered probe would have ended the connection.
    assert_eq!(stream.take_error().unwrap().map(|error| error.kind()), None);
    exchange(&mut stream)
}

#[test]
fn untracked_keepalives_get_through_and_refresh_nothing() {
    in_lab_user_namespace(|| {
        std::thread::scope(|scope| {
            let tests = servers().map(|server| {
                [false, true]
                    .map(|untracked| scope.spawn(move || keepalives_then_data(untracked, server)))
            });
            for [tracked, untracked] in tests {
                assert_eq!(tracked.join().unwrap(), Ok(()));
                assert_eq!(untracked.join().unwrap(), Err(ErrorKind::ConnectionReset));
            }
        });
    });
}

#[test]
fn labs_side_by_side_do_not_see_each_other() {
    in_lab_user_namespace(|| {
        let labs: Vec<Lab> = std::thread::scope(|scope| {
            let builders: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| lab(Behaviour::default())))
                .collect();
            builders
                .into_iter()
                .map(|lab| lab.join().unwrap())
                .collect()
        });
        labs[0].change(Change::Path(Path::Cut)).unwrap();
        for lab in &labs[1..] {
            for server in servers() {
                connect(lab, server);
            }
        }
        assert_eq!(labs[1].count(Counter::Cut).unwrap(), 0);
    });
}

#[test]
fn a_machine_without_room_says_what_to_raise() {
    in_user_namespace(|| {
        std::fs::write("/proc/sys/user/max_net_namespaces", "2").unwrap();
        let error = Lab::build(&Plan::default()).unwrap_err();
        assert!(matches!(error, kalive::Error::Unsupported(_)));
        assert!(
            error.to_string().contains("user.max_net_namespaces"),
            "{error}"
        );
    });
}

/// A connection to a server of the test's own: both ends, after an exchange.
fn both_ends(lab: &Lab, server: SocketAddr) -> (TcpStream, TcpStream) {
    let listener = lab.server().run(|| TcpListener::bind(server));
    let listener = listener.unwrap().unwrap();
    let client = lab
        .client()
        .run(|| TcpStream::connect_timeout(&server, PATIENCE));
    let mut client = client.unwrap().unwrap();
    let (mut far, _) = listener.accept().unwrap();
    for stream in [&client, &far] {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    client.write_all(b"a").unwrap();
    far.read_exact(&mut [0]).unwrap();
    far.write_all(b"b").unwrap();
    client.read_exact(&mut [0]).unwrap();
    (client, far)
}

/// What server and client see when the server speaks first, after the router has forgotten them.
fn server_first(on_expiry: OnExpiry, server: SocketAddr) -> [ErrorKind; 2] {
    let behaviour = Behaviour {
        nat_timeout: seconds(1),
        on_expiry,
        ..Behaviour::default()
    };
    let far_end = FarEnd::Nothing;
    let lab = Lab::build(&Plan { behaviour, far_end }).unwrap();
    let (mut client, mut far) = both_ends(&lab, server);
    stay_silent(Instant::now(), Duration::from_millis(1600));
    far.write_all(b"c").unwrap();
    let seen = [&mut far, &mut client].map(|end| end.read(&mut [0]).unwrap_err().kind());
    let late = lab.count(Counter::LateInbound).unwrap();
    assert_eq!(
        late > 0,
        on_expiry != OnExpiry::Forget,
        "{late} late packets"
    );
    seen
}

#[test]
fn a_server_that_speaks_too_late_learns_what_the_client_does_not() {
    use ErrorKind::{ConnectionReset, WouldBlock};
    in_lab_user_namespace(|| {
        let cases = [
            (OnExpiry::Drop, [WouldBlock, WouldBlock]),
            (OnExpiry::Reset, [ConnectionReset, WouldBlock]),
            (OnExpiry::Forget, [ConnectionReset, WouldBlock]),
        ];
        std::thread::scope(|scope| {
            for (on_expiry, expected) in cases {
                for server in servers() {
                    scope.spawn(move || assert_eq!(server_first(on_expiry, server), expected));
                }
            }
        });
    });
}
