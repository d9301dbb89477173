//! Deadlines on progress: a peer that neither sends nor takes a byte for too long is let go.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use s3s::StdError;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Nothing moved for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no byte for {within:?}")]
pub(super) struct Stalled {
    within: Duration,
}

/// A deadline that every step moves.
struct Deadline {
    within: Duration,
    sleep: Pin<Box<Sleep>>,
    is_running: bool,
}

impl Deadline {
    fn new(within: Duration) -> Self {
        Self { within, sleep: Box::pin(tokio::time::sleep(within)), is_running: false }
    }

    /// Something moved.
    fn clear(&mut self) {
        self.is_running = false;
    }

    /// Nothing moved; ready once that has been so for too long.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<Stalled> {
        if !self.is_running {
            self.is_running = true;
            self.sleep.as_mut().reset(Instant::now() + self.within);
        }
        ready!(self.sleep.as_mut().poll(cx));
        Poll::Ready(Stalled { within: self.within })
    }
}

/// The body of a request that must keep coming.
pub(super) struct SteadyBody<B> {
    body: B,
    deadline: Deadline,
}

impl<B> SteadyBody<B> {
    pub(super) fn new(body: B, within: Duration) -> Self {
        Self { body, deadline: Deadline::new(within) }
    }
}

impl<B> Body for SteadyBody<B>
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
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                this.deadline.clear();
                Poll::Ready(frame.map(|frame| frame.map_err(StdError::from)))
            }
            Poll::Pending => {
                let stalled = ready!(this.deadline.poll_stalled(cx));
                Poll::Ready(Some(Err(Box::new(stalled))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection whose peer must keep taking what we write.
pub(super) struct SteadyWrites<I> {
    io: I,
    deadline: Deadline,
}

impl<I: AsyncWrite + Unpin> SteadyWrites<I> {
    pub(super) fn new(io: I, within: Duration) -> Self {
        Self { io, deadline: Deadline::new(within) }
    }

    fn poll_step<T>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        step: impl FnOnce(Pin<&mut I>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let this = self.get_mut();
        match step(Pin::new(&mut this.io), cx) {
            Poll::Ready(done) => {
                this.deadline.clear();
                Poll::Ready(done)
            }
            Poll::Pending => {
                let stalled = ready!(this.deadline.poll_stalled(cx));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, stalled)))
            }
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for SteadyWrites<I> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, to)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for SteadyWrites<I> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_step(cx, |io, cx| io.poll_write(cx, from))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_step(cx, |io, cx| io.poll_write_vectored(cx, from))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_step(cx, |io, cx| io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_step(cx, |io, cx| io.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn writes_that_nobody_takes_end_and_those_that_go_on_do_not() {
        let (ours, mut theirs) = tokio::io::duplex(4);
        let mut ours = SteadyWrites::new(ours, Duration::from_secs(30));
        let slow_reader = tokio::spawn(async move {
            let mut buffer = [0_u8; 4];
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(29)).await;
                theirs.read_exact(&mut buffer).await.unwrap();
            }
            theirs
        });
        ours.write_all(b"sixteen bytes ok").await.unwrap();
        let started = Instant::now();
        let _theirs = slow_reader.await.unwrap();
        let error = ours.write_all(b"more").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed(), Duration::from_secs(30));
    }
}
