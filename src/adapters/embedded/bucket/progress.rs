//! The body of an upload: it must keep coming, at a least rate, and end in time.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use s3s::StdError;
use tokio::time::{Instant, Sleep};

use crate::net::is_too_slow;

/// Why a body was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stalled {
    /// Nothing came for too long.
    #[error("no byte came for {0:?}")]
    Silent(Duration),
    /// Too little came in the time that was spent waiting for it.
    #[error("the body came too slowly")]
    Slow,
    /// The upload did not end in time.
    #[error("an upload may take {0:?}")]
    Late(Duration),
}

/// How long a body may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyTimeouts {
    /// When the request began.
    pub(super) began: Instant,
    /// How long nothing may come.
    pub(super) silence_max: Duration,
    /// How long it may take in all.
    pub(super) within: Duration,
}

impl BodyTimeouts {
    /// When it must have ended.
    pub(super) fn until(self) -> Instant {
        self.began + self.within
    }
}

/// The body of an upload.
///
/// Only time in which it waits for its client counts against the least rate: a slow disk is not the client's fault.
pub(super) struct PacedBody<B> {
    /// Some until it is dropped.
    body: Option<B>,
    back: Rest<B>,
    timeouts: BodyTimeouts,
    came_bytes: u64,
    waited: Duration,
    /// Since when it waits for its client.
    waits_since: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
}

/// Where a body goes when its reader is done with it, so that what is left can be looked at.
pub(super) type Rest<B> = Arc<Mutex<Option<B>>>;

impl<B> PacedBody<B> {
    /// The body, and where it goes afterwards.
    pub(super) fn new(body: B, timeouts: BodyTimeouts) -> (Self, Rest<B>) {
        let back = Rest::default();
        let paced = Self {
            body: Some(body),
            back: Arc::clone(&back),
            timeouts,
            came_bytes: 0,
            waited: Duration::ZERO,
            waits_since: None,
            sleep: Box::pin(tokio::time::sleep_until(timeouts.began)),
        };
        (paced, back)
    }

    fn came(&mut self, frame: &Frame<Bytes>) {
        if let Some(since) = self.waits_since.take() {
            self.waited += since.elapsed();
        }
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        self.came_bytes = self.came_bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Nothing came; ready once that has been so for too long.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<Stalled> {
        let now = Instant::now();
        let since = *self.waits_since.get_or_insert(now);
        loop {
            let now = Instant::now();
            let waited = now.duration_since(since);
            let silence_max = self.timeouts.silence_max;
            if now >= self.timeouts.until() {
                return Poll::Ready(Stalled::Late(self.timeouts.within));
            }
            if waited >= silence_max {
                return Poll::Ready(Stalled::Silent(silence_max));
            }
            if is_too_slow(self.came_bytes, self.waited + waited) {
                return Poll::Ready(Stalled::Slow);
            }
            let look = (now + LOOK_EVERY).min(since + silence_max).min(self.timeouts.until());
            self.sleep.as_mut().reset(look);
            ready!(self.sleep.as_mut().poll(cx));
        }
    }
}

/// How often the rate of a body that does not come is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl<B> Drop for PacedBody<B> {
    fn drop(&mut self) {
        *self.back.lock().unwrap_or_else(PoisonError::into_inner) = self.body.take();
    }
}

impl<B> Body for PacedBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    StdError: From<B::Error>,
{
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let this = self.get_mut();
        let Some(body) = this.body.as_mut() else { return Poll::Ready(None) };
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.came(&frame);
                if Instant::now() >= this.timeouts.until() {
                    return Poll::Ready(Some(Err(Box::new(Stalled::Late(this.timeouts.within)))));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let stalled = ready!(this.poll_stalled(cx));
                Poll::Ready(Some(Err(Box::new(stalled))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{StreamExt as _, stream};
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Reads a body that comes in pieces of `bytes`, the first at once, the others `pause` apart; how it ends, and when.
    async fn check(count: usize, bytes: usize, pause: Duration) -> (Result<usize, Stalled>, Duration) {
        let began = Instant::now();
        let pieces = stream::iter(0..count).then(move |nth| async move {
            tokio::time::sleep(if nth == 0 { Duration::ZERO } else { pause }).await;
            Ok::<_, Infallible>(Frame::data(Bytes::from(vec![0; bytes])))
        });
        let timeouts = BodyTimeouts { began, silence_max: SECOND * 30, within: SECOND * 900 };
        let (body, _) = PacedBody::new(StreamBody::new(Box::pin(pieces)), timeouts);
        let read = body.collect().await.map(|body| body.to_bytes().len());
        let read = read.map_err(|error| *error.downcast::<Stalled>().unwrap());
        (read, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_keeps_coming_is_taken() {
        assert_eq!(check(100, 10 << 10, SECOND).await, (Ok(1_024_000), SECOND * 99));
        assert_eq!(check(3, 1, SECOND).await.0, Ok(3), "a small one in a few pieces");
        assert_eq!(check(29, 1 << 20, SECOND * 29).await.0, Ok(29 << 20), "rarely, but much");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_given_up_soon_after_its_grace() {
        let (read, after) = check(1_000, 7, SECOND).await;
        assert_eq!(read, Err(Stalled::Slow));
        assert!(after <= SECOND * 22, "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_silent_or_late_is_given_up() {
        assert_eq!(check(2, 1 << 20, SECOND * 31).await, (Err(Stalled::Silent(SECOND * 30)), SECOND * 30));
        let (read, after) = check(1_000, 20 << 10, SECOND).await;
        assert_eq!((read, after), (Err(Stalled::Late(SECOND * 900)), SECOND * 900));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_of_a_body_comes_back() {
        let timeouts = BodyTimeouts { began: Instant::now(), silence_max: SECOND, within: SECOND };
        let (body, rest) = PacedBody::new(http_body_util::Full::<Bytes>::from("left"), timeouts);
        assert!(rest.lock().unwrap().is_none());
        drop(body);
        let left = rest.lock().unwrap().take().unwrap();
        assert_eq!(left.collect().await.unwrap().to_bytes(), "left");
    }
}
