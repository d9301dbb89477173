//! One request at the endpoint: what it holds while it runs, and the turn of its upload.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::StatusCode;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::RETRY_AFTER;
use hyper::http::Extensions;
use hyper::http::request::Parts;
use percent_encoding::percent_decode_str;
use s3s::S3Result;
use tokio::time::Instant;

use super::answers;
use super::failure::Failure;
use super::gate;
use super::progress::BodyTimeouts;
use super::store::Store;
use crate::admission::{Share, Shares};
use crate::limits;
use crate::net::RequestInFlight;

/// What the links of one user, and of one object, may hold of the connections.
#[derive(Debug)]
pub(super) struct Visitors {
    users: Arc<Shares<String>>,
    objects: Arc<Shares<String>>,
}

impl Visitors {
    /// Shares of so many connections.
    pub(super) fn new(connections_max: usize) -> Self {
        let share = |one_in: usize| u64::try_from((connections_max / one_in).max(1)).unwrap_or(u64::MAX);
        Self {
            users: Shares::new(share(limits::USER_SHARE)),
            objects: Shares::new(share(limits::OBJECT_SHARE)),
        }
    }

    /// Takes the shares of a request. Only links count: who holds the key of the bucket is one of us.
    ///
    /// The signature is checked afterwards, and nothing is waited for before that, so links that were never signed
    /// hold a share for microseconds.
    pub(super) fn enter(&self, head: &Parts) -> Result<Option<Held>, Failure> {
        if !gate::is_presigned(head) {
            return Ok(None);
        }
        let object = percent_decode_str(head.uri.path()).decode_utf8_lossy().into_owned();
        // Keys are `user/{user}/{file}`, so what stands before the last slash is the user.
        let user = object.rsplit_once('/').map_or("", |(user, _)| user).to_owned();
        let too_many = || {
            let why = "Too many requests at the same time for these links; try again";
            let refused = Failure::new(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", why);
            refused.with_header(RETRY_AFTER, "2")
        };
        let user = self.users.take(user, 1).ok_or_else(too_many)?;
        let object = self.objects.take(object, 1).ok_or_else(too_many)?;
        Ok(Some(Held { _user: user, _object: object }))
    }
}

/// The shares of a request, until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    _user: Share<String>,
    _object: Share<String>,
}

/// The turn of an upload: no other upload of the same is in flight while it is there.
#[derive(Debug)]
pub(super) struct Turn {
    _turn: Share<String>,
    until: Option<Instant>,
}

impl Turn {
    /// Whether it must not land any more: by now its reservation may have been given to others.
    pub(super) fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}

/// What the operations are to know of a request's upload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Upload {
    /// How long it may take.
    pub(super) timeouts: BodyTimeouts,
    /// Whether the request has a condition.
    pub(super) is_conditional: bool,
}

/// Takes the turn of an upload; a second one is refused before a byte of it is read.
pub(super) fn turn(store: &Store, extensions: &mut Extensions, of: String) -> S3Result<Turn> {
    let upload = extensions.get::<Upload>().copied();
    let is_conditional = upload.is_some_and(|upload| upload.is_conditional);
    let turn = store.turns.take(of, 1).ok_or_else(|| answers::in_flight(is_conditional))?;
    Ok(Turn { _turn: turn, until: upload.map(|upload| upload.timeouts.until()) })
}

/// The body of an answer, and what its request holds until it has left.
pub(super) struct AnswerBody {
    body: s3s::Body,
    in_flight: Option<RequestInFlight>,
    held: Option<Held>,
}

impl AnswerBody {
    pub(super) fn new(body: s3s::Body, in_flight: RequestInFlight, held: Option<Held>) -> Self {
        in_flight.step().is_clients();
        Self { body, in_flight: Some(in_flight), held }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = s3s::StdError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let next = Pin::new(&mut this.body).poll_frame(cx);
        if let Some(in_flight) = &this.in_flight {
            in_flight.step().answered(&next);
        }
        if let Poll::Ready(None | Some(Err(_))) = next {
            drop((this.in_flight.take(), this.held.take()));
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
