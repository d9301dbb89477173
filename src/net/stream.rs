//! A stream whose bytes are noted, and that does not end under a client that still sends.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::intake::Intake;
use super::linger::Linger;
use super::watch::Watch;

/// A stream whose bytes are noted, and that does not end under a client that still sends.
#[derive(Debug)]
pub struct Watched<S> {
    stream: S,
    watch: Arc<Watch>,
    intake: Intake,
    /// Our side is closed.
    linger: Option<Linger>,
}

impl<S> Watched<S> {
    /// The stream under a watch.
    #[must_use]
    pub fn new(stream: S, watch: Arc<Watch>) -> Self {
        Self { stream, watch, intake: Intake::default(), linger: None }
    }

    fn noted<T>(&self, written: Poll<io::Result<T>>, count: impl FnOnce(&T) -> usize) -> Poll<io::Result<T>> {
        match &written {
            Poll::Ready(Ok(done)) => self.watch.wrote(count(done)),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.watch.blocked(),
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while !this.intake.serve(buf) {
            if this.intake.is_refused() {
                // The connection ends with the answer.
                return Poll::Pending;
            }
            let before = buf.filled().len();
            std::task::ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            let piece = &mut buf.filled_mut()[before..];
            if piece.is_empty() {
                // An empty read is the end.
                let _is_more = this.intake.end(buf);
                break;
            }
            this.watch.received();
            let passed = this.intake.take(piece);
            buf.set_filled(before + passed);
            if passed > 0 {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.noted(written, |count| *count)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.noted(flushed, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            std::task::ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            this.watch.lingers();
        }
        this.linger.get_or_insert_with(Linger::new).poll(&mut this.stream, cx).map(Ok)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.noted(written, |count| *count)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
