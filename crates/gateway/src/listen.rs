//! Listeners: opening them, accepting connections, and stopping in order.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base::limits;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};

use crate::{
    door::Door,
    front::{ConnectionInfo, DrainPhase, Front, write_address},
    message_trace,
    tls::{TlsError, TlsSetup},
};

/// How far below its port a listener's VIP channel is: clients of 3.x send there by default.
const VIP_PORT_BELOW: u16 = 2;

/// Connections that the system may hold before they are accepted.
const BACKLOG: u32 = 1_024;

/// How long the last traces of messages may take to be written.
const LAST_TRACES: Duration = Duration::from_secs(2);

/// Pause after a failed accept: out of file handles does not pass at once.
const ACCEPT_PAUSE_MS: u64 = 100;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// Host name or IP address; `0.0.0.0` and `::` are all of this machine's.
    pub host: String,
    /// Port; 0 lets the system choose.
    pub port: u16,
    /// Whether clients from other machines see metrics here.
    pub admin: bool,
    /// Whether clients need no credentials here, also where access control is on.
    pub trusted: bool,
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_address(f, &self.host, self.port)
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("listen address `{text}` is not HOST:PORT");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let host = host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .unwrap_or(host);
        if host.is_empty() {
            return Err(wrong());
        }
        let port = port.parse().map_err(|_| wrong())?;
        Ok(Self {
            host: host.to_owned(),
            port,
            admin: false,
            trusted: false,
        })
    }
}

/// Why listeners did not open.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address could not be listened on.
    #[error("listen on {host}:{port}")]
    Listen {
        /// Its host.
        host: String,
        /// Its port.
        port: u16,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No certificate.
    #[error("set up tls")]
    Tls(#[from] TlsError),
}

/// Listeners that are open.
pub struct Running {
    front: Arc<Front>,
    addresses: Vec<SocketAddr>,
    vip_addresses: Vec<SocketAddr>,
    /// Each listener and connection holds the other end; nothing is ever sent.
    ended: mpsc::Receiver<()>,
    /// Writes traces, and ends after everything else.
    recorder: Option<JoinHandle<()>>,
}

/// How a drain went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that did not finish in time and were cut.
    pub cut: usize,
}

/// Opens `addresses`, each with its VIP channel, and starts to serve connections on them.
///
/// # Errors
/// When TLS cannot be set up or an address cannot be listened on; nothing stays open then. A VIP
/// channel that cannot be opened is only warned about.
pub async fn serve(
    front: Arc<Front>,
    addresses: Vec<ListenAddress>,
    tls: TlsSetup,
) -> Result<Running, ServeError> {
    let door = Arc::new(Door::new(Arc::clone(&front), tls.load()?));
    let mut open = Vec::new();
    for address in &addresses {
        let listener = bind_name(&address.host, address.port)
            .await
            .map_err(|source| ServeError::Listen {
                host: address.host.clone(),
                port: address.port,
                source,
            })?;
        open.push((listener.0, listener.1, address));
    }
    let listening: Vec<SocketAddr> = open.iter().map(|(_, address, _)| *address).collect();

    let (alive, ended) = mpsc::channel(1);
    let mut vip_addresses = Vec::new();
    for (listener, address, setting) in open {
        let shared = Arc::new(Listening {
            door: Arc::clone(&door),
            front: Arc::clone(&front),
            port: address.port(),
            told: told(&front, address),
            admin: setting.admin,
            trusted: setting.trusted,
            connections: AtomicUsize::new(0),
        });
        if let Some((vip, vip_address)) = vip_channel(address, &listening) {
            vip_addresses.push(vip_address);
            tokio::spawn(Arc::clone(&shared).accept(vip, alive.clone()));
        }
        tokio::spawn(shared.accept(listener, alive.clone()));
    }
    let recorder = message_trace::start(&front);
    Ok(Running {
        front,
        recorder,
        addresses: listening,
        vip_addresses,
        ended,
    })
}

impl Running {
    /// The addresses listened on, in the order in which they were given, with their real ports.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The VIP channels that could be opened.
    pub fn vip_addresses(&self) -> &[SocketAddr] {
        &self.vip_addresses
    }

    /// Stops: accepts nothing more but what the system has let in, ends long polls with an orderly
    /// empty answer, finishes requests that have come, writes their answers and closes. What is not
    /// done after `limit` is cut.
    pub async fn drain(mut self, limit: Duration) -> Drained {
        self.front.drain.advance(DrainPhase::Draining);
        let mut cut = 0;
        tokio::select! {
            biased;
            _ = self.ended.recv() => {}
            () = self.front.clock.sleep(limit) => {
                cut = self.front.connections();
                tracing::warn!(connections = cut, "connections did not finish in time, cutting them");
                self.front.drain.advance(DrainPhase::Closed);
                // Every connection waits for this phase as well: none is left soon.
                self.ended.recv().await;
            }
        }
        self.front.drain.advance(DrainPhase::Closed);
        if let Some(recorder) = self.recorder {
            tokio::select! {
                _ = recorder => {}
                () = self.front.clock.sleep(LAST_TRACES) => {}
            }
        }
        Drained { cut }
    }
}

async fn bind_name(host: &str, port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "host has no address");
    for address in tokio::net::lookup_host((host, port)).await? {
        match bind(address) {
            Ok(listener) => {
                let address = listener.local_addr()?;
                return Ok((listener, address));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A restart must not wait for the old connections to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn vip_channel(address: SocketAddr, listening: &[SocketAddr]) -> Option<(TcpListener, SocketAddr)> {
    let port = address
        .port()
        .checked_sub(VIP_PORT_BELOW)
        .filter(|port| *port > 0)?;
    let vip = SocketAddr::new(address.ip(), port);
    if listening.contains(&vip) {
        return None;
    }
    match bind(vip) {
        Ok(listener) => Some((listener, vip)),
        Err(error) => {
            tracing::warn!(
                listener = %address, vip = %vip, %error,
                "vip channel not opened: clients of 3.x must turn theirs off"
            );
            None
        }
    }
}

/// The address that routes give for a listener on all addresses.
fn told(front: &Front, address: SocketAddr) -> Option<IpAddr> {
    if !address.ip().is_unspecified() || front.settings.advertise.is_some() {
        return None;
    }
    let told = outward(address.ip());
    match told {
        Some(told) => tracing::info!(
            listener = %address, advertised = %told,
            "listening on all addresses: routes give the first that is not loopback"
        ),
        None => tracing::warn!(
            listener = %address,
            "this machine has no address but loopback: routes give the one a client came in on"
        ),
    }
    told
}

/// The address from which this machine would reach others. Nothing is sent: connecting a datagram
/// socket only asks the system which way it would go.
fn outward(listening: IpAddr) -> Option<IpAddr> {
    // Addresses kept for documentation (RFC 5737, RFC 3849): surely not on this machine.
    let v4 = || {
        source_towards(
            Ipv4Addr::UNSPECIFIED.into(),
            Ipv4Addr::new(192, 0, 2, 1).into(),
        )
    };
    let v6 = || {
        let far = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        source_towards(Ipv6Addr::UNSPECIFIED.into(), far.into())
    };
    let found = if listening.is_ipv4() {
        v4()
    } else {
        v4().or_else(|_| v6())
    };
    found
        .ok()
        .filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

fn source_towards(from: IpAddr, to: IpAddr) -> io::Result<IpAddr> {
    let socket = UdpSocket::bind((from, 0))?;
    socket.connect((to, 9))?;
    Ok(socket.local_addr()?.ip())
}

/// What a listener and its VIP channel share.
struct Listening {
    door: Arc<Door>,
    front: Arc<Front>,
    port: u16,
    told: Option<IpAddr>,
    admin: bool,
    trusted: bool,
    connections: AtomicUsize,
}

impl Listening {
    async fn accept(self: Arc<Self>, listener: TcpListener, alive: mpsc::Sender<()>) {
        let mut draining = Box::pin(self.front.drain.reached(DrainPhase::Draining));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut draining => break,
            };
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer, &alive),
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    self.front
                        .clock
                        .sleep(Duration::from_millis(ACCEPT_PAUSE_MS))
                        .await;
                }
            }
        }
        // Those that the system has let in already would be reset, with what they have asked.
        let Ok(listener) = listener.into_std() else {
            return;
        };
        for _ in 0..BACKLOG {
            let Ok((stream, peer)) = listener.accept() else {
                return;
            };
            let stream = stream.set_nonblocking(true).map(|()| stream);
            if let Ok(stream) = stream.and_then(TcpStream::from_std) {
                self.admit(stream, peer, &alive);
            }
        }
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, alive: &mpsc::Sender<()>) {
        let count = self.connections.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(self));
        if count >= limits::CONNECTIONS_PER_LISTENER_MAX {
            self.front.metrics.refused();
            return;
        }
        // Answers are written whole: waiting for more to send with them would only delay them.
        let Ok(local) = stream.set_nodelay(true).and_then(|()| stream.local_addr()) else {
            // It is gone already.
            return;
        };
        let connection = ConnectionInfo {
            id: self.front.next_connection_id(),
            peer,
            local: SocketAddr::new(self.told.unwrap_or(local.ip().to_canonical()), self.port),
            tls: false,
            admin: self.admin,
            trusted: self.trusted,
        };
        let counted = self.front.count_connection();
        let alive = alive.clone();
        tokio::spawn(async move {
            place.0.door.enter(stream, connection).await;
            drop((place, counted, alive));
        });
    }
}

/// A connection's place among those of its listener.
struct Place(Arc<Listening>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses_read_as_people_write_them() {
        let of = |text: &str| text.parse::<ListenAddress>().map(|a| (a.host, a.port));
        assert_eq!(of("127.0.0.1:8081"), Ok(("127.0.0.1".to_owned(), 8_081)));
        assert_eq!(of("[::1]:0"), Ok(("::1".to_owned(), 0)));
        for right in ["localhost:1", "[::1]:0"] {
            assert_eq!(right.parse::<ListenAddress>().unwrap().to_string(), right);
        }
        for wrong in ["8081", ":8081", "localhost:", "localhost:99999"] {
            assert!(of(wrong).unwrap_err().contains(wrong), "{wrong}");
        }
    }
}
