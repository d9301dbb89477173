//! The way of a connection's bytes to the parser: a head is passed on once it is complete and can be trusted.

use bytes::Bytes;
use tokio::io::ReadBuf;

use super::framing::{Framing, ScanEnd};
use super::head::{self, Refusal};
use crate::limits;

/// The bytes of one connection on their way to the parser.
#[derive(Debug, Default)]
pub(super) struct Intake {
    framing: Framing,
    /// The beginning of a head that is not complete yet.
    held: Vec<u8>,
    /// What the parser reads next.
    ready: Bytes,
    is_refused: bool,
}

impl Intake {
    /// Serves what is ready; returns whether there was something.
    pub(super) fn serve(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        if let Some(end) = self.framing.end_of_spoiled() {
            self.ready = Bytes::from_static(end);
        }
        let count = self.ready.len().min(buf.remaining());
        buf.put_slice(&self.ready.split_to(count));
        count > 0
    }

    /// Whether a head was refused: nothing after it is read as a request.
    pub(super) const fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// The client sends no more. Serves what there is of a head; returns whether there is something.
    pub(super) fn end(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        self.ready = std::mem::take(&mut self.held).into();
        self.serve(buf)
    }

    /// Takes a piece as it came. Returns how many bytes at its beginning the parser reads next; what else it reads is ready
    /// after that.
    pub(super) fn take(&mut self, piece: &mut [u8]) -> usize {
        if self.held.is_empty() {
            let (passed, refusal) = self.look(piece, 0);
            match refusal {
                Some(refusal) => self.refuse(refusal, Vec::new()),
                None => self.held.extend_from_slice(&piece[passed..]),
            }
            return passed;
        }
        let mut whole = std::mem::take(&mut self.held);
        let looked = whole.len();
        whole.extend_from_slice(piece);
        let (passed, refusal) = self.look(&mut whole, looked);
        let rest = whole.split_off(passed);
        match refusal {
            Some(refusal) => self.refuse(refusal, whole),
            None => (self.ready, self.held) = (whole.into(), rest),
        }
        0
    }

    /// Something else is read in place of the head after `before`.
    fn refuse(&mut self, refusal: Refusal, mut before: Vec<u8>) {
        before.extend(refusal.head());
        (self.ready, self.is_refused) = (before.into(), true);
    }

    /// Looks at bytes that begin with a head, if a head is looked at, and of which so many were looked at before. Returns how
    /// many can be passed on, and why the head after them is refused.
    fn look(&mut self, bytes: &mut [u8], looked: usize) -> (usize, Option<Refusal>) {
        let (mut at, mut passed) = (looked, 0);
        while let Some(rest) = bytes.get_mut(at..).filter(|rest| !rest.is_empty()) {
            let (count, seen) = self.framing.check(rest);
            at += count;
            match seen {
                ScanEnd::All => {}
                ScanEnd::Body => passed = at,
                ScanEnd::Head => match head::check(&bytes[passed..at]) {
                    Ok(()) => passed = at,
                    Err(refusal) => return (passed, Some(refusal)),
                },
                ScanEnd::Fault(refusal) => return (passed, Some(refusal)),
            }
        }
        if !self.framing.is_in_head() {
            return (bytes.len(), None);
        }
        let is_long = bytes.len() - passed > limits::HEAD_BYTES_MAX;
        (passed, is_long.then_some(Refusal::TooLong))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the parser reads of these pieces.
    fn read(pieces: &[&[u8]]) -> String {
        let (mut intake, mut read) = (Intake::default(), Vec::new());
        for piece in pieces {
            if intake.is_refused() {
                break;
            }
            let mut piece = piece.to_vec();
            let passed = intake.take(&mut piece);
            read.extend_from_slice(&piece[..passed]);
            loop {
                let mut bytes = [0; 7];
                let mut buf = ReadBuf::new(&mut bytes);
                if !intake.serve(&mut buf) {
                    break;
                }
                read.extend_from_slice(buf.filled());
            }
        }
        String::from_utf8(read).unwrap()
    }

    /// What it reads, whatever the pieces are.
    fn check(sent: &str, expected: &str) {
        assert_eq!(read(&[sent.as_bytes()]), expected, "{sent:?}");
        let single: Vec<_> = sent.as_bytes().chunks(1).collect();
        assert_eq!(read(&single), expected, "{sent:?} byte by byte");
        for at in 0..sent.len() {
            let (first, second) = sent.as_bytes().split_at(at);
            assert_eq!(read(&[first, second]), expected, "{sent:?} cut at {at}");
        }
    }

    #[test]
    fn heads_are_passed_on_once_they_are_complete() {
        let first = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
        let second = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        check(first, first);
        check(&format!("{first}{second}{second}"), &format!("{first}{second}{second}"));
        check(&format!("{first}GET / HT"), first);
        let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
        check(&format!("{chunked}{second}"), &format!("{chunked}{second}"));
        let http2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nand frames\n";
        check(http2, http2);
    }

    #[test]
    fn a_refused_head_is_replaced_and_nothing_is_read_after_it() {
        let good = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let both = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
        let stands = |refusal: Refusal| String::from_utf8(refusal.head()).unwrap();
        check(&format!("{both}0\r\n\r\n{good}"), &stands(Refusal::Coding));
        check(&format!("{good}{both}0\r\n\r\n{good}"), &format!("{good}{}", stands(Refusal::Coding)));
        check(&format!("{good}GET /\n{good}"), &format!("{good}{}", stands(Refusal::Line)));
        check("PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n", &stands(Refusal::Syntax));
        let endless = format!("GET /{}", "x".repeat(limits::HEAD_BYTES_MAX));
        assert_eq!(read(&[endless.as_bytes()]), stands(Refusal::TooLong));
    }
}
