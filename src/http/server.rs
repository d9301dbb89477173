//! The two listeners, and a stop that finishes what is running.

use std::sync::Arc;

use metrics::counter;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::connection;
use super::routes::Listener;
use super::services::{Api, Services};
use crate::limits;
use crate::net::{Acceptor, Listening, Serving, Stall, Stop};
use crate::telemetry::names;

/// The listeners, bound already.
#[derive(Debug)]
pub struct Front {
    /// For clients.
    pub api: TcpListener,
    /// For operators: health and metrics.
    pub admin: TcpListener,
}

/// Serves both listeners until `shutdown` is cancelled and running requests have ended.
///
/// Returns at most [`limits::DRAIN_WITHIN`] after the cancellation; what still runs then is cut off. Not being
/// able to accept is counted and waited out, never the end. Dropping the future leaves connections running.
pub async fn serve(front: Front, services: Services, shutdown: CancellationToken) {
    let health = services.health.clone();
    let (places, per_peer) = (services.options.connections_max, services.options.per_address_max);
    let api = Arc::new(Api::new(services, shutdown.clone()));
    let admin_soon = CancellationToken::new();
    let clients = async {
        let acceptor = acceptor(&api, (places, per_peer), &shutdown);
        accept(&acceptor, &front.api, (&api, Listener::Api)).await;
        health.drain();
        drop(front.api);
        acceptor.drain("the API", limits::DRAIN_WITHIN).await;
        admin_soon.cancel();
    };
    let operators = async {
        let acceptor = acceptor(&api, (limits::ADMIN_CONNECTIONS_MAX, None), &admin_soon);
        accept(&acceptor, &front.admin, (&api, Listener::Admin)).await;
        // Health and metrics are answered at once, so nothing is worth waiting for.
        acceptor.cut().await;
    };
    tokio::join!(clients, operators);
}

/// The answer to a connection whose address has too many. No request of it was read, so there is no request id.
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n\
    retry-after: 1\r\nconnection: close\r\ncontent-length: 208\r\n\r\n\
    {\"type\":\"/errors/overloaded\",\"title\":\"Too many requests are waiting\",\"status\":503,\
    \"detail\":\"Too many connections of this address are open.\",\"code\":\"overloaded\",\
    \"error\":\"Service Unavailable\",\"retryable\":true}\n";

fn acceptor(
    api: &Api,
    (connections_max, per_peer_max): (usize, Option<usize>),
    soon: &CancellationToken,
) -> Acceptor {
    let listening = Listening {
        connections_max,
        per_peer_max,
        refusal: REFUSAL,
        stall: Stall::Frames,
        connections: api.meters.connections.clone(),
        in_flight: api.meters.in_flight.clone(),
        accept_failures: counter!(names::HTTP_ACCEPT_FAILURES_TOTAL),
        refused: counter!(names::HTTP_CONNECTIONS_REFUSED_TOTAL),
    };
    Acceptor::new(listening, Stop { soon: soon.clone(), now: CancellationToken::new() })
}

async fn accept(acceptor: &Acceptor, socket: &TcpListener, (api, listener): (&Arc<Api>, Listener)) {
    let serve = |stream, watch, stop| -> Serving {
        Box::pin(connection::serve(stream, watch, (Arc::clone(api), listener), stop))
    };
    acceptor.accept(socket, serve).await;
}
