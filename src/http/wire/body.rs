//! Bodies: those we send, and the one we read.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::header::EXPECT;

use super::exchange::Exchange;
use crate::http::error::{ErrorCode, Problem};
use crate::limits;
use crate::net::AwaitedBody;

/// The body of a request.
pub(in crate::http) type Incoming = AwaitedBody<hyper::body::Incoming>;

/// The body of an answer.
#[derive(Debug)]
pub(in crate::http) struct Body {
    content: Content,
    /// The request counts as in flight until its body has left or was given up.
    exchange: Option<Exchange>,
}

enum Content {
    Full(Bytes),
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Stream(_) => f.write_str("a stream"),
        }
    }
}

impl Body {
    /// No bytes.
    pub(in crate::http) const fn empty() -> Self {
        Self { content: Content::Full(Bytes::new()), exchange: None }
    }

    /// These bytes.
    pub(in crate::http) fn full(bytes: impl Into<Bytes>) -> Self {
        Self { content: Content::Full(bytes.into()), exchange: None }
    }

    /// Bytes as they come, without an end known before.
    pub(in crate::http) fn stream(stream: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self { content: Content::Stream(Box::pin(stream)), exchange: None }
    }

    /// Keeps the request counted as in flight.
    pub(in crate::http) fn hold(&mut self, mut exchange: Exchange) {
        exchange.answered(self.len());
        self.exchange = Some(exchange);
    }

    /// How many bytes it has, if that is known.
    pub(in crate::http) fn len(&self) -> Option<usize> {
        match &self.content {
            Content::Full(bytes) => Some(bytes.len()),
            Content::Stream(_) => None,
        }
    }

    /// Forgets its bytes; what answers a HEAD.
    pub(in crate::http) fn clear(&mut self) {
        self.content = Content::Full(Bytes::new());
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Self { content, exchange } = &mut *self;
        let next = match content {
            Content::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Full(bytes) => {
                let piece_bytes_max = exchange.as_ref().map_or(usize::MAX, Exchange::piece_bytes_max);
                Poll::Ready(Some(bytes.split_to(bytes.len().min(piece_bytes_max))))
            }
            Content::Stream(stream) => stream.as_mut().poll_next(cx),
        };
        if let Some(exchange) = exchange {
            exchange.asked(&next);
        }
        next.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.content, Content::Full(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self.len().map(u64::try_from) {
            Some(Ok(len_bytes)) => SizeHint::with_exact(len_bytes),
            Some(Err(_)) | None => SizeHint::default(),
        }
    }
}

/// Reads a request's body: at most [`limits::BODY_BYTES_MAX`], within [`limits::BODY_WITHIN`].
///
/// # Errors
/// `body_too_large`, `request_timeout`, or `validation_failed` for one that breaks off. After each the
/// connection cannot be used further.
pub(in crate::http) async fn read<B>(body: &mut B) -> Result<Bytes, Problem>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    if body.size_hint().lower() > bytes_max() {
        return Err(too_large());
    }
    match tokio::time::timeout(limits::BODY_WITHIN, gather(body)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Problem::new(ErrorCode::RequestTimeout).closing()),
    }
}

async fn gather<B>(body: &mut B) -> Result<Bytes, Problem>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    // Most bodies come in one piece, and are then used where they lie.
    let mut first = Bytes::new();
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::malformed("", "The body breaks off."))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len().max(whole.len()).saturating_add(data.len()) > limits::BODY_BYTES_MAX {
            return Err(too_large());
        }
        if first.is_empty() {
            first = data;
        } else {
            if whole.is_empty() {
                whole.extend_from_slice(&first);
            }
            whole.extend_from_slice(&data);
        }
    }
    Ok(if whole.is_empty() { first } else { Bytes::from(whole) })
}

/// Reads what a handler left of the body, so that the connection can be used further; returns whether it can.
pub(in crate::http) async fn drain<B>(body: &mut B, headers: &HeaderMap) -> bool
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    if body.is_end_stream() {
        return true;
    }
    let rest = tokio::time::timeout(limits::BODY_REST_WITHIN, read(body));
    // A client that expects to be asked has not sent its body yet; reading would ask for it.
    !headers.contains_key(EXPECT) && matches!(rest.await, Ok(Ok(_)))
}

fn bytes_max() -> u64 {
    u64::try_from(limits::BODY_BYTES_MAX).unwrap_or(u64::MAX)
}

fn too_large() -> Problem {
    Problem::too_large(ErrorCode::BodyTooLarge, bytes_max()).closing()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{StreamExt, stream};
    use http_body_util::{Full, StreamBody};

    fn pieces(
        count: usize,
        size: usize,
    ) -> StreamBody<impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Unpin> {
        let piece = Bytes::from(vec![b'x'; size]);
        StreamBody::new(stream::iter(0..count).map(move |_| Ok(Frame::data(piece.clone()))))
    }

    async fn check(mut body: impl HttpBody<Data = Bytes> + Unpin, expected: Result<usize, ErrorCode>) {
        let outcome = read(&mut body).await;
        assert_eq!(outcome.map(|bytes| bytes.len()).map_err(|problem| problem.code()), expected);
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_bound() {
        check(Full::from("abc"), Ok(3)).await;
        check(pieces(0, 1), Ok(0)).await;
        check(pieces(3, 5), Ok(15)).await;
        check(pieces(limits::BODY_BYTES_MAX, 1), Ok(limits::BODY_BYTES_MAX)).await;
        check(pieces(limits::BODY_BYTES_MAX + 1, 1), Err(ErrorCode::BodyTooLarge)).await;
        check(pieces(1, limits::BODY_BYTES_MAX + 1), Err(ErrorCode::BodyTooLarge)).await;
    }

    /// Says how much will come, and never sends it.
    struct Promise(u64);

    impl HttpBody for Promise {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.0)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_not_waited_for_in_vain() {
        check(Promise(bytes_max() + 1), Err(ErrorCode::BodyTooLarge)).await;
        check(Promise(bytes_max()), Err(ErrorCode::RequestTimeout)).await;
        let slow = stream::iter(0..10).then(|_| async {
            tokio::time::sleep(limits::BODY_WITHIN / 5).await;
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x")))
        });
        check(StreamBody::new(Box::pin(slow)), Err(ErrorCode::RequestTimeout)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_of_a_body_is_drained_unless_it_was_not_sent() {
        let expecting =
            HeaderMap::from_iter([(EXPECT, hyper::header::HeaderValue::from_static("100-continue"))]);
        assert!(drain(&mut Full::from("abc"), &HeaderMap::new()).await);
        assert!(!drain(&mut Full::from("abc"), &expecting).await);
        assert!(drain(&mut Full::<Bytes>::default(), &expecting).await);
        assert!(!drain(&mut Promise(1), &HeaderMap::new()).await);
    }
}
