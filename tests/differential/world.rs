//! Random sockets in every state that can be held still, all in the namespace of the calling thread.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::ops::Range;
use std::os::unix::fs::fchown;
use std::time::Duration;

use fastrand::Rng;
use socket2::{Socket, TcpKeepalive};

use crate::doors::{
    ANY, ANY6, Doors, LOCALHOST6, Way, address, begin_connect, bound, deafen, end_of_stream_after,
    loopback, say,
};

/// Shorter than any keepalive time here: nothing fires while tests look.
const STILL: u64 = 600;
/// More sessions than this in one queue that nobody accepts from would be answered with cookies.
const MOST_REQUESTS: usize = 400;
/// Of [`Maker::add`]'s kinds all, and those without SYNs, which are sent again after a second already: the older
/// they are when tests look, the less often.
const ALL: Range<u32> = 0..100;
const WITHOUT_SYN: Range<u32> = 0..89;

/// A socket that this process holds, and the state that it was brought into.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) socket: Socket,
    pub(crate) state: &'static str,
}

/// Everything that was made.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) held: Vec<Held>,
    /// Sockets of the kernel's own by their state: nobody holds a descriptor of them.
    pub(crate) unheld: BTreeMap<&'static str, usize>,
}

/// Makes a world, socket by socket.
struct Maker {
    world: World,
    /// Where the first of two ends is that can hear each other.
    pairs: Vec<usize>,
    random: Rng,
    doors: Doors,
}

impl World {
    /// Makes sockets until there are so many descriptors, and beside them connections in TIME-WAIT.
    pub(crate) fn make(random: Rng, descriptors: usize, time_wait: usize) -> Self {
        // No TIME-WAIT gives way to a new connection, and SYNs are sent again less often from the start.
        set("tcp_tw_reuse", "0");
        set("tcp_syn_linear_timeouts", "0");
        let mut maker = Maker {
            world: Self::default(),
            pairs: Vec::new(),
            random,
            doors: Doors::open(),
        };
        maker.add_until(descriptors / 2, ALL);
        // Microseconds, from Linux 6.11 on: what the other half sends is not sent again while tests look.
        set("tcp_rto_min_us", "60000000");
        let doors = std::mem::replace(&mut maker.doors, Doors::open());
        maker.world.hold_all(doors);
        maker.add_until(descriptors, WITHOUT_SYN);
        for _ in 0..time_wait {
            maker.time_wait();
        }
        maker.talk_again();
        let Maker {
            mut world, doors, ..
        } = maker;
        world.hold_all(doors);
        world
    }

    fn hold_all(&mut self, doors: Doors) {
        self.held.extend(doors.into_all().map(|socket| Held {
            socket,
            state: "LISTEN",
        }));
    }

    /// How many sockets there are in each state.
    pub(crate) fn count(&self) -> BTreeMap<&'static str, usize> {
        let mut count = self.unheld.clone();
        for held in &self.held {
            *count.entry(held.state).or_default() += 1;
        }
        count
    }
}

impl Maker {
    /// Adds sockets of these kinds.
    fn add_until(&mut self, descriptors: usize, kinds: Range<u32>) {
        while self.world.held.len() < descriptors {
            let kind = self.random.u32(kinds.clone());
            self.add(kind);
        }
    }

    fn add(&mut self, kind: u32) {
        match kind {
            0..40 => self.established(),
            40..50 => self.in_flight(),
            50..54 => self.stuffed(),
            54..62 => self.half_closed(),
            62..67 => self.fin_wait_1(),
            67..72 => self.last_ack(),
            72..77 => self.closing(),
            77..80 => self.orphan(),
            80..85 => self.listen(),
            85..89 => self.bound(),
            89..93 => self.syn_sent(),
            93..97 => self.syn_received(),
            _ => self.requested(),
        }
    }

    fn hold(&mut self, socket: Socket, state: &'static str) {
        if self.random.u32(0..4) == 0 {
            // Who has only one user to be stays that one.
            let _ = fchown(&socket, Some(self.random.u32(1..65_534)), None);
        }
        self.world.held.push(Held { socket, state });
    }

    fn count_unheld(&mut self, state: &'static str) {
        *self.world.unheld.entry(state).or_default() += 1;
    }

    /// Two ends of a connection.
    fn pair(&mut self) -> (Socket, Socket) {
        let way = self.way();
        let (client, to) = self.client(way);
        client.connect(&to.into()).unwrap();
        let (server, _) = self.doors.of(way).accept().unwrap();
        for end in [&client, &server] {
            if self.random.bool() {
                let idle = Duration::from_secs(self.random.u64(STILL..=32_767));
                let keepalive = TcpKeepalive::new().with_time(idle);
                end.set_tcp_keepalive(&keepalive).unwrap();
            }
        }
        (client, server)
    }

    fn way(&mut self) -> Way {
        match self.random.u32(0..6) {
            0 | 1 => Way::V4,
            2 => Way::V6,
            3 => Way::MappedServer,
            4 => Way::MappedClient,
            _ => Way::LinkLocal,
        }
    }

    /// A socket with an address of its own, and where it is to connect to.
    fn client(&mut self, way: Way) -> (Socket, SocketAddr) {
        let from = loopback(&mut self.random);
        let to = loopback(&mut self.random);
        let v4 = |ip: Ipv4Addr| SocketAddr::from((ip, 0));
        let mapped = |ip: Ipv4Addr| SocketAddr::from((ip.to_ipv6_mapped(), 0));
        let (from, mut to) = match (way, self.doors.link_local) {
            (Way::V4 | Way::MappedServer, _) => (v4(from), v4(to)),
            (Way::MappedClient, _) => (mapped(from), mapped(to)),
            (Way::LinkLocal, Some(own)) => (own.into(), own.into()),
            (Way::V6 | Way::LinkLocal, _) => (LOCALHOST6, LOCALHOST6),
        };
        to.set_port(address(self.doors.of(way)).port());
        let client = bound(from);
        client.set_send_buffer_size(8_192).unwrap();
        (client, to)
    }

    fn established(&mut self) {
        let (client, server) = self.pair();
        for (one, other) in [(&client, &server), (&server, &client)] {
            if self.random.u32(0..3) == 0 {
                other.set_tcp_quickack(true).unwrap();
                say(one, self.random.usize(1..1_000));
            }
        }
        self.pairs.push(self.world.held.len());
        self.hold(client, "ESTABLISHED");
        self.hold(server, "ESTABLISHED");
    }

    fn in_flight(&mut self) {
        let (client, server) = self.pair();
        deafen(&server);
        say(&client, self.random.usize(1..1_000));
        self.hold(client, "ESTABLISHED");
        self.hold(server, "ESTABLISHED");
    }

    /// The peer's window is closed.
    fn stuffed(&mut self) {
        let (client, server) = self.pair();
        client.set_nonblocking(true).unwrap();
        while client.send(&[0; 8_192]).is_ok() {}
        self.hold(client, "ESTABLISHED");
        self.hold(server, "ESTABLISHED");
    }

    fn half_closed(&mut self) {
        let (client, server) = self.pair();
        end_of_stream_after(&server, || client.shutdown(Shutdown::Write).unwrap());
        self.hold(client, "FIN-WAIT-2");
        self.hold(server, "CLOSE-WAIT");
    }

    fn fin_wait_1(&mut self) {
        let (client, server) = self.pair();
        deafen(&server);
        client.shutdown(Shutdown::Write).unwrap();
        self.hold(client, "FIN-WAIT-1");
        self.hold(server, "ESTABLISHED");
    }

    fn last_ack(&mut self) {
        let (client, server) = self.pair();
        end_of_stream_after(&server, || client.shutdown(Shutdown::Write).unwrap());
        deafen(&client);
        server.shutdown(Shutdown::Write).unwrap();
        self.hold(client, "FIN-WAIT-2");
        self.hold(server, "LAST-ACK");
    }

    /// Both have closed; one has heard of it, the other has not.
    fn closing(&mut self) {
        let (client, server) = self.pair();
        deafen(&server);
        client.shutdown(Shutdown::Write).unwrap();
        end_of_stream_after(&client, || server.shutdown(Shutdown::Write).unwrap());
        self.hold(client, "CLOSING");
        self.hold(server, "FIN-WAIT-1");
    }

    fn syn_sent(&mut self) {
        let client = self.begin(|doors| &doors.deaf);
        self.hold(client, "SYN-SENT");
    }

    /// Two that open at once, of which one hears nothing: a whole socket in SYN-RECEIVED.
    fn syn_received(&mut self) {
        let [one, other] = if self.random.bool() {
            [(); 2].map(|()| bound((loopback(&mut self.random), 0).into()))
        } else {
            [(); 2].map(|()| bound(LOCALHOST6))
        };
        // The RST of a port where nobody listens yet must not end it.
        deafen(&one);
        begin_connect(&one, address(&other));
        one.detach_filter().unwrap();
        deafen(&other);
        begin_connect(&other, address(&one));
        self.hold(one, "SYN-RECEIVED");
        self.hold(other, "SYN-SENT");
    }

    /// A request that stays one. Its client has its answer.
    fn requested(&mut self) {
        if self.world.unheld.get("NEW-SYN-RECV") < Some(&MOST_REQUESTS) {
            let client = self.begin(|doors| &doors.waiting);
            self.hold(client, "ESTABLISHED");
            self.count_unheld("NEW-SYN-RECV");
        }
    }

    fn begin(&mut self, door: impl Fn(&Doors) -> &[Socket; 2]) -> Socket {
        let (client, to) = if self.random.bool() {
            let client = bound((loopback(&mut self.random), 0).into());
            let port = address(&door(&self.doors)[0]).port();
            (client, (loopback(&mut self.random), port).into())
        } else {
            let client = bound(LOCALHOST6);
            let port = address(&door(&self.doors)[1]).port();
            (client, (Ipv6Addr::LOCALHOST, port).into())
        };
        begin_connect(&client, to);
        client
    }

    /// In FIN-WAIT-2 without an owner, and its peer.
    fn orphan(&mut self) {
        let (client, server) = self.pair();
        end_of_stream_after(&server, || drop(client));
        self.count_unheld("FIN-WAIT-2");
        self.hold(server, "CLOSE-WAIT");
    }

    fn time_wait(&mut self) {
        let (client, server) = self.pair();
        // A server in TIME-WAIT gives way to a client that comes from the same port. Only where addresses are many
        // does none.
        let (first, second) = if address(&client).is_ipv4() && self.random.bool() {
            (server, client)
        } else {
            (client, server)
        };
        end_of_stream_after(&second, || drop(first));
        self.count_unheld("TIME-WAIT");
    }

    /// So that the last data sent, the last received and the last ACK are of different times.
    fn talk_again(&mut self) {
        for &one in &self.pairs {
            let [one, other] = [one, one + 1].map(|index| &self.world.held[index].socket);
            if self.random.bool() {
                other.set_tcp_quickack(true).unwrap();
                say(one, 1);
            }
        }
    }

    fn listen(&mut self) {
        let ip = loopback(&mut self.random);
        let listener = match self.random.u32(0..4) {
            0 => bound((ip, 0).into()),
            1 => bound(ANY),
            2 => bound(LOCALHOST6),
            _ => bound(ANY6),
        };
        listener.listen(self.random.i32(0..4_096)).unwrap();
        self.hold(listener, "LISTEN");
    }

    fn bound(&mut self) {
        let ip = loopback(&mut self.random);
        let socket = if self.random.bool() {
            bound((ip, 0).into())
        } else {
            bound(LOCALHOST6)
        };
        self.hold(socket, "CLOSED");
    }
}

/// Changes a setting of the namespace, if the kernel has it.
fn set(name: &str, value: &str) {
    let path = format!("/proc/sys/net/ipv4/{name}");
    if std::fs::exists(&path).unwrap() {
        std::fs::write(&path, value).unwrap();
    }
}
