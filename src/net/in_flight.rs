//! One request in flight, and who has to do its next step: the server or the client.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Buf;
use hyper::Version;
use hyper::body::{Body, Frame, SizeHint};

use super::watch::Watch;

/// A request in flight, until it is dropped.
#[derive(Debug)]
pub struct RequestInFlight(Arc<ClientStep>);

/// Who has to do the next step of a request. The server has at its beginning.
#[derive(Debug)]
pub struct ClientStep {
    watch: Arc<Watch>,
    is_ours: AtomicBool,
}

impl RequestInFlight {
    /// A request of this connection begins.
    #[must_use]
    pub fn start(watch: &Arc<Watch>, version: Version) -> Self {
        watch.begins(version == Version::HTTP_2);
        Self(Arc::new(ClientStep { watch: Arc::clone(watch), is_ours: AtomicBool::new(true) }))
    }

    /// Who has to do the next step.
    #[must_use]
    pub const fn step(&self) -> &Arc<ClientStep> {
        &self.0
    }

    /// The client took nothing of the answer for too long.
    pub fn give_up(&self) {
        self.0.watch.give_up();
    }
}

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        self.0.is_clients();
        self.0.watch.ends();
    }
}

impl ClientStep {
    /// The next step is the client's.
    pub fn is_clients(&self) {
        if self.is_ours.swap(false, Ordering::Relaxed) {
            self.watch.works_less();
        }
    }

    /// The next step is the server's.
    pub fn is_ours(&self) {
        if !self.is_ours.swap(true, Ordering::Relaxed) {
            self.watch.works_more();
        }
    }

    /// The client took or sent something.
    pub fn moved(&self) {
        self.watch.moved();
    }

    /// The client took bytes of the answer.
    pub fn took_frame(&self, bytes: usize) {
        self.watch.took_frame(bytes);
    }

    /// Records the result of polling the server for a frame of the answer: with one at hand, the client has to take it.
    pub fn answered<T>(&self, frame: &Poll<T>) {
        match frame {
            Poll::Ready(_) => {
                self.moved();
                self.is_clients();
            }
            Poll::Pending => self.is_ours(),
        }
    }
}

/// The body of a request. While it does not come, the next step is the client's.
#[derive(Debug)]
pub struct AwaitedBody<B> {
    body: B,
    step: Arc<ClientStep>,
}

impl<B> AwaitedBody<B> {
    /// The body of this request.
    #[must_use]
    pub fn new(body: B, in_flight: &RequestInFlight) -> Self {
        Self { body, step: Arc::clone(in_flight.step()) }
    }
}

impl<B: Body + Unpin> Body for AwaitedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        match &frame {
            Poll::Ready(frame) => {
                let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
                this.step.watch.pays(bytes.map_or(0, Buf::remaining));
                this.step.moved();
                this.step.is_ours();
            }
            Poll::Pending => this.step.is_clients(),
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
