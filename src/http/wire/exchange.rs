//! One request and its answer from the view of the connection: in flight, progress, and unsent bytes.

use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;

use hyper::Version;

use crate::http::error::{ErrorCode, Problem};
use crate::limits;
use crate::net::{AwaitedBody, Budget, RequestInFlight, StreamProgress, UnsentBytes, Watch};

/// A request that is being answered, until its answer was taken or given up.
#[derive(Debug)]
pub(in crate::http) struct Exchange {
    in_flight: RequestInFlight,
    /// None outside HTTP/2: there a connection has one answer at a time, and stalls as a whole.
    budget: Option<Arc<Budget>>,
    stream: Option<Arc<StreamProgress>>,
    held: Option<UnsentBytes>,
}

impl Exchange {
    /// A request of this connection begins.
    pub(in crate::http) fn start(watch: &Arc<Watch>, budget: &Arc<Budget>, version: Version) -> Self {
        let budget = (version == Version::HTTP_2).then(|| Arc::clone(budget));
        Self { in_flight: RequestInFlight::start(watch, version), budget, stream: None, held: None }
    }

    /// Goes on in the task of its stream.
    #[must_use]
    pub(in crate::http) fn in_stream(mut self) -> Self {
        self.stream = StreamProgress::of_stream();
        self
    }

    /// The body of its request.
    pub(in crate::http) fn awaits<B>(&self, body: B) -> AwaitedBody<B> {
        AwaitedBody::new(body, &self.in_flight)
    }

    /// Waits until the client has read enough of earlier answers of its connection for one of about this
    /// size.
    ///
    /// # Errors
    /// `overloaded` if it does not read them.
    pub(in crate::http) async fn reserve(&mut self, bytes_about: usize) -> Result<(), Problem> {
        let Some(budget) = &self.budget else { return Ok(()) };
        let taken = budget.take(bytes_about);
        // Only the client can make room.
        self.in_flight.step().is_clients();
        let taken = tokio::time::timeout(limits::UNSENT_WITHIN, taken).await;
        self.in_flight.step().is_ours();
        let Ok(held) = taken else {
            let detail = "Earlier answers of this connection are not read.";
            return Err(Problem::new(ErrorCode::Overloaded).detail(detail));
        };
        self.held = Some(held);
        Ok(())
    }

    /// The answer is made and has this size; none: it comes bit by bit and keeps little.
    pub(in crate::http) fn answered(&mut self, bytes: Option<usize>) {
        if let Some(held) = &mut self.held {
            held.resize(bytes.unwrap_or(0));
        }
        self.in_flight.step().is_clients();
    }

    /// The client asked for a frame of the answer: it has room for one.
    pub(in crate::http) fn asked(&self, frame: &Poll<Option<Bytes>>) {
        let step = self.in_flight.step();
        step.answered(frame);
        if let Poll::Ready(Some(bytes)) = frame {
            step.took_frame(bytes.len());
        }
        if let (Poll::Ready(_), Some(stream)) = (frame, &self.stream) {
            stream.moved();
        }
    }

    /// How many bytes of the answer leave at once: what HTTP/2 has taken and the client has not read stays in memory.
    pub(in crate::http) const fn piece_bytes_max(&self) -> usize {
        if self.budget.is_some() { limits::H2_PIECE_BYTES } else { usize::MAX }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.stream.as_ref().is_some_and(|stream| stream.is_given_up()) {
            self.in_flight.give_up();
        }
    }
}
