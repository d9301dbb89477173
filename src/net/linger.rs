//! The end of a connection whose client still sends.
//!
//! Bytes that reach a closed socket are answered with a reset, which can overtake the last answer
//! (RFC 9112 section 9.6): the client then sees a broken pipe in place of what it was refused for.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::limits;

/// Bytes that are read, and thrown away, at once.
const READ_BYTES: usize = 16 << 10;

/// Reading on after our side is closed: for a bounded time and a bounded number of bytes.
#[derive(Debug)]
pub(super) struct Linger {
    until: Instant,
    silence: Pin<Box<Sleep>>,
    bytes_left: usize,
}

impl Linger {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            until: now + limits::LINGER_WITHIN,
            silence: Box::pin(tokio::time::sleep_until(now + limits::LINGER_SILENCE_MAX)),
            bytes_left: limits::LINGER_BYTES_MAX,
        }
    }

    /// Throws away what still comes, until the client closes too or a bound is met.
    pub(super) fn poll<S: AsyncRead + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<()> {
        while self.silence.as_mut().poll(cx).is_pending() {
            let mut bytes = [0; READ_BYTES];
            let mut buf = ReadBuf::new(&mut bytes);
            let read = std::task::ready!(Pin::new(&mut *stream).poll_read(cx, &mut buf));
            let count = buf.filled().len();
            self.bytes_left = self.bytes_left.saturating_sub(count);
            if read.is_err() || count == 0 || self.bytes_left == 0 {
                break;
            }
            let heard = Instant::now() + limits::LINGER_SILENCE_MAX;
            self.silence.as_mut().reset(heard.min(self.until));
        }
        Poll::Ready(())
    }
}
