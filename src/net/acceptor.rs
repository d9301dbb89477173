//! The connections of one listener: accepting, the cap on them, and a stop that finishes what is running.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::linger::Linger;
use super::peer::Peer;
use super::registry::Registry;
use super::stop::Stop;
use super::watch::{Stall, Watch};
use crate::limits;
use crate::telemetry::Counted;

const ACCEPT_PAUSE_MIN: Duration = Duration::from_millis(5);
const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// What a listener allows its connections, and how they are counted.
#[derive(Clone, Debug)]
pub struct Listening {
    /// Connections at the same time; one more is accepted and waits, the others wait in the kernel.
    pub connections_max: usize,
    /// Connections of one IPv4 address, or one IPv6 network of 64 bits; none: as many as there are places.
    pub per_peer_max: Option<usize>,
    /// What one connection more of the same address gets, before it is closed.
    pub refusal: &'static [u8],
    /// When a request counts as stuck because of its client.
    pub stall: Stall,
    /// Open connections.
    pub connections: Gauge,
    /// Requests in flight.
    pub in_flight: Gauge,
    /// Connections that could not be accepted.
    pub accept_failures: Counter,
    /// Connections that were closed because their address had too many.
    pub refused: Counter,
}

/// A connection that is being served. Boxed: the compiler then looks into it once, not at every use.
pub type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection with a place.
struct Guest {
    stream: TcpStream,
    peer: Peer,
    place: OwnedSemaphorePermit,
}

/// Accepts the connections of one listener and waits for their end.
#[derive(Debug)]
pub struct Acceptor {
    listening: Listening,
    stop: Stop,
    places: Arc<Semaphore>,
    /// For refused connections while they receive the refusal.
    farewells: Arc<Semaphore>,
    registry: Arc<Registry>,
    connections: TaskTracker,
}

impl Acceptor {
    /// An acceptor without connections.
    #[must_use]
    pub fn new(listening: Listening, stop: Stop) -> Self {
        let places = listening.connections_max.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            listening,
            stop,
            places: Arc::new(Semaphore::new(places)),
            farewells: Arc::new(Semaphore::new(limits::FAREWELLS_MAX)),
            registry: Arc::default(),
            connections: TaskTracker::new(),
        }
    }

    /// Accepts until the stop, and runs `serve` for each connection. No error ends it: running out of file
    /// descriptors passes.
    ///
    /// While all places are taken, new connections wait in the kernel, and connections that wait for their clients give
    /// way. An address that has as many as it may have gives way to itself, or is refused.
    pub async fn accept(
        &self,
        listener: &TcpListener,
        serve: impl Fn(TcpStream, Arc<Watch>, Stop) -> Serving + Sync,
    ) {
        let mut pause = ACCEPT_PAUSE_MIN;
        loop {
            let outcome = tokio::select! {
                biased;
                () = self.stop.soon.cancelled() => return,
                outcome = self.next(listener) => outcome,
            };
            match outcome {
                Ok(Some(guest)) => {
                    pause = ACCEPT_PAUSE_MIN;
                    self.welcome(guest, &serve);
                }
                Ok(None) => pause = ACCEPT_PAUSE_MIN,
                Err(error) => {
                    self.listening.accept_failures.increment(1);
                    if is_the_clients_fault(&error) {
                        continue;
                    }
                    warn!(error = %error, "could not accept a connection, pausing {pause:?}");
                    tokio::select! {
                        () = self.stop.soon.cancelled() => return,
                        () = tokio::time::sleep(pause) => pause = (pause * 2).min(ACCEPT_PAUSE_MAX),
                    }
                }
            }
        }
    }

    /// The next connection, once there is a place for it; none if it was refused. It is accepted before its place is looked
    /// for: no connection gives way to one that may never come.
    async fn next(&self, listener: &TcpListener) -> io::Result<Option<Guest>> {
        let (stream, address) = listener.accept().await?;
        let peer = Peer::of(address.ip());
        if self.listening.per_peer_max.is_some_and(|max| !self.registry.admits(peer, max)) {
            self.refuse(stream);
            return Ok(None);
        }
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => self.next_place().await,
        };
        Ok(Some(Guest { stream, peer, place }))
    }

    /// Says why a connection is refused, and closes it.
    fn refuse(&self, mut stream: TcpStream) {
        self.listening.refused.increment(1);
        // Without a place it is closed without a word: who opens so many does not listen.
        let Ok(place) = Arc::clone(&self.farewells).try_acquire_owned() else { return };
        let (refusal, stop) = (self.listening.refusal, self.stop.child());
        let farewell = async move {
            stream.write_all(refusal).await?;
            stream.shutdown().await?;
            let mut linger = Linger::new();
            std::future::poll_fn(|cx| linger.poll(&mut stream, cx)).await;
            io::Result::Ok(())
        };
        self.connections.spawn(async move {
            tokio::select! {
                () = stop.now.cancelled() => {}
                // A client that has gone needs no reason.
                _ = farewell => {}
            }
            drop(place);
        });
    }

    /// A place, taken from a connection that waits for its client if there is one.
    async fn next_place(&self) -> OwnedSemaphorePermit {
        let places = Arc::clone(&self.places);
        let mut place = std::pin::pin!(places.acquire_owned());
        self.registry.set_full(true);
        loop {
            self.registry.make_room();
            if let Ok(place) = tokio::time::timeout(limits::CROWDED_LOOK_EVERY, place.as_mut()).await {
                self.registry.set_full(false);
                return place.expect("the semaphore is never closed");
            }
        }
    }

    fn welcome(&self, guest: Guest, serve: &impl Fn(TcpStream, Arc<Watch>, Stop) -> Serving) {
        let Guest { stream, peer, place } = guest;
        if let Err(error) = stream.set_nodelay(true) {
            // The client has gone already; reading will say so.
            tracing::debug!(error = %error, "could not set up a connection");
        }
        let watch = Arc::new(Watch::new(self.listening.stall, self.listening.in_flight.clone()));
        let entered = self.registry.enter(peer, Arc::clone(&watch));
        let counted = Counted::start(&self.listening.connections);
        let serving = serve(stream, watch, self.stop.child());
        self.connections.spawn(async move {
            serving.await;
            drop((entered, counted, place));
        });
    }

    /// How long all places have been taken while another connection waits for one.
    #[must_use]
    pub fn full_for(&self) -> Option<Duration> {
        self.registry.full_for()
    }

    /// Waits for the requests in flight, for at most `within`, cuts off what is left, and says so in the log. `whose` names
    /// the listener.
    pub async fn drain(&self, whose: &'static str, within: Duration) {
        self.connections.close();
        let left = match tokio::time::timeout(within, self.connections.wait()).await {
            Ok(()) => 0,
            Err(_) => {
                let left = self.registry.at_work();
                self.cut().await;
                left
            }
        };
        match left {
            0 => info!(listener = whose, "every request to {whose} was answered before the stop"),
            left => warn!(
                listener = whose,
                connections.cut = left,
                "cut off {left} connections to {whose} whose requests did not end within {within:?}"
            ),
        }
    }

    /// Ends all connections.
    pub async fn cut(&self) {
        self.connections.close();
        self.stop.now.cancel();
        self.connections.wait().await;
    }
}

/// Whether only this one connection failed, so that the next can be accepted at once.
fn is_the_clients_fault(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
