//! The two listeners: accepting, the cap on connections, and a stop that finishes what is running.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::connection::{self, Stop};
use super::services::{Api, Door, Services};
use crate::limits;
use crate::telemetry::names;

/// The listeners, bound already.
#[derive(Debug)]
pub struct Front {
    /// For clients.
    pub api: TcpListener,
    /// For operators: health and metrics.
    pub admin: TcpListener,
}

const ACCEPT_PAUSE_MIN: Duration = Duration::from_millis(5);
const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Serves both listeners until `shutdown` is cancelled and running requests have ended.
///
/// Returns at most [`limits::DRAIN_WITHIN`] after the cancellation; what still runs then is cut off. Not being
/// able to accept is counted and waited out, never the end. Dropping the future leaves connections running.
pub async fn serve(front: Front, services: Services, shutdown: CancellationToken) {
    let health = services.health.clone();
    let connections_max = services.options.connections_max;
    let api = Arc::new(Api::new(services, shutdown.clone()));
    let admin_soon = CancellationToken::new();
    let clients = async {
        let stop = Stop { soon: shutdown.clone(), now: CancellationToken::new() };
        let hall = Hall::new(Arc::clone(&api), Door::Api, stop, connections_max);
        hall.accept(&front.api).await;
        health.drain();
        drop(front.api);
        hall.drain().await;
        admin_soon.cancel();
    };
    let operators = async {
        let stop = Stop { soon: admin_soon.clone(), now: CancellationToken::new() };
        let hall = Hall::new(Arc::clone(&api), Door::Admin, stop, limits::ADMIN_CONNECTIONS_MAX);
        hall.accept(&front.admin).await;
        // Health and metrics are answered at once, so nothing is worth waiting for.
        hall.cut().await;
    };
    tokio::join!(clients, operators);
}

/// The connections of one listener.
struct Hall {
    api: Arc<Api>,
    door: Door,
    stop: Stop,
    slots: Arc<Semaphore>,
    connections: TaskTracker,
}

impl Hall {
    fn new(api: Arc<Api>, door: Door, stop: Stop, connections_max: usize) -> Self {
        let slots = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
        Self { api, door, stop, slots, connections: TaskTracker::new() }
    }

    /// Accepts until told to stop. While all slots are taken, new connections wait in the kernel.
    async fn accept(&self, listener: &TcpListener) {
        let mut pause = ACCEPT_PAUSE_MIN;
        loop {
            let slots = Arc::clone(&self.slots);
            let next = async {
                let slot = slots.acquire_owned().await.expect("the semaphore is never closed");
                listener.accept().await.map(|(stream, _)| (stream, slot))
            };
            let outcome = tokio::select! {
                biased;
                () = self.stop.soon.cancelled() => return,
                outcome = next => outcome,
            };
            match outcome {
                Ok((stream, slot)) => {
                    pause = ACCEPT_PAUSE_MIN;
                    self.welcome(stream, slot);
                }
                Err(error) => {
                    metrics::counter!(names::HTTP_ACCEPT_FAILURES_TOTAL).increment(1);
                    if is_the_clients_fault(&error) {
                        continue;
                    }
                    warn!(error = %error, "could not accept a connection, pausing {pause:?}");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(ACCEPT_PAUSE_MAX);
                }
            }
        }
    }

    fn welcome(&self, stream: TcpStream, slot: tokio::sync::OwnedSemaphorePermit) {
        if let Err(error) = stream.set_nodelay(true) {
            // The client has gone already; reading will say so.
            tracing::debug!(error = %error, "could not set up a connection");
        }
        let (api, door) = (Arc::clone(&self.api), self.door);
        // A token of its own a connection: waking and checking it then needs no lock that others hold.
        let stop = Stop { soon: self.stop.soon.child_token(), now: self.stop.now.child_token() };
        self.connections.spawn(async move {
            let _counted = api.meters.connection();
            connection::serve(stream, api, door, stop).await;
            drop(slot);
        });
    }

    async fn drain(&self) {
        self.connections.close();
        if tokio::time::timeout(limits::DRAIN_WITHIN, self.connections.wait()).await.is_ok() {
            info!("every request was answered before the stop");
        } else {
            warn!(connections.open = self.connections.len(), "cutting off what did not end in time");
            self.cut().await;
        }
    }

    async fn cut(&self) {
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
