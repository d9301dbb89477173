//! A look at the framing of HTTP/1.1 requests as their bytes arrive, before the parser reads them.
//!
//! The parser accepts a bare LF for CRLF, a repeated equal `Content-Length`, and control bytes in chunk extensions. Another
//! server on the way may frame such a request differently (RFC 9112 section 11.2). A head with such a fault is refused
//! before the parser sees it; in a chunked body the byte in question is overwritten by one that the parser refuses. Only
//! heads, chunk sizes and trailers are looked at, each byte once; bodies are skipped by their length.
//!
//! It follows the parser's own rules of where a body ends. Where it cannot, because the parser refuses the request anyway,
//! it stops looking. A connection that leaves HTTP/1.1 (HTTP/2, an upgrade) must not be looked at further.

use super::head::Refusal;

/// How every HTTP/2 connection begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Its bytes that look like a head.
const PREFACE_HEAD_BYTES: usize = b"PRI * HTTP/2.0\r\n\r\n".len();
/// No trailer may contain it.
const NUL: u8 = 0;
/// The longest header name that the scanner recognises.
const NAME_BYTES_MAX: usize = b"transfer-encoding".len();

/// Where the next byte of a connection belongs.
#[derive(Debug, Default)]
pub(super) struct Framing {
    state: State,
    before: u8,
    preface: usize,
    /// Something was spoiled, and the parser may still wait for the end of it.
    is_spoiled: bool,
    seen: ScanEnd,
}

/// Up to where a piece of a connection was looked at, and why no further.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ScanEnd {
    /// To its end.
    #[default]
    All,
    /// To the end of a head.
    Head,
    /// To the end of a body, after which a head begins.
    Body,
    /// To a fault of a head.
    Fault(Refusal),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head(HeadScan),
    /// So many bytes of a body.
    Body(u64),
    /// In a chunk's size; what it is so far.
    Size(u64),
    /// After a chunk's size, up to the end of its line.
    Extension(u64),
    /// So many bytes of a chunk.
    Chunk(u64),
    /// After a chunk's bytes, up to the end of its line.
    ChunkEnd,
    /// After the last chunk; whether the line is empty so far.
    Trailer {
        is_empty: bool,
    },
    /// Nothing is looked at any more.
    Off,
}

impl Default for State {
    fn default() -> Self {
        Self::Head(HeadScan::default())
    }
}

/// A head, as far as it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct HeadScan {
    /// The request line is complete.
    has_request_line: bool,
    line: HeadLine,
    length: Option<u64>,
    is_chunked: bool,
}

/// A line of a head, as far as it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum HeadLine {
    #[default]
    Empty,
    /// A name of a field, in lower case; one byte more than the longest is any longer one.
    Name([u8; NAME_BYTES_MAX], usize),
    /// Digits and the white space around them.
    Length {
        value: Option<u64>,
        is_over: bool,
    },
    Other,
}

/// What becomes of a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByteVerdict {
    Fine,
    /// Another byte takes its place, and the parser refuses that.
    Replaced(u8),
    /// The parser refuses it.
    Refused,
    /// The head is refused.
    Fault(Refusal),
}

impl Framing {
    /// Whether the next byte belongs to a head.
    pub(super) const fn is_in_head(&self) -> bool {
        matches!(self.state, State::Head(_))
    }

    /// Looks at the next bytes of a connection, up to the end of a head, and spoils what must be refused in a body. Returns
    /// how many it has looked at.
    pub(super) fn check(&mut self, bytes: &mut [u8]) -> (usize, ScanEnd) {
        let mut at = 0;
        while let Some(byte) = bytes.get_mut(at) {
            match self.state {
                State::Off => return (bytes.len(), ScanEnd::All),
                State::Body(left) | State::Chunk(left) => at += self.skip(left, bytes.len() - at),
                State::Head(_)
                | State::Size(_)
                | State::Extension(_)
                | State::ChunkEnd
                | State::Trailer { .. } => {
                    *byte = self.take(*byte);
                    at += 1;
                }
            }
            match std::mem::take(&mut self.seen) {
                ScanEnd::All => {}
                seen @ (ScanEnd::Head | ScanEnd::Body | ScanEnd::Fault(_)) => return (at, seen),
            }
        }
        (at, ScanEnd::All)
    }

    /// What the parser must read next, once, in place of what the client sends: it looks for faults in a trailer only when
    /// that seems to be complete.
    pub(super) fn end_of_spoiled(&mut self) -> Option<&'static [u8]> {
        std::mem::take(&mut self.is_spoiled).then_some(b"\r\n\r\n")
    }

    /// Skips bytes of a body; returns how many.
    fn skip(&mut self, left: u64, here: usize) -> usize {
        let skipped = usize::try_from(left).unwrap_or(usize::MAX).min(here);
        let left = left - u64::try_from(skipped).unwrap_or(left);
        self.state = match (self.state, left) {
            (State::Chunk(_), 0) => State::ChunkEnd,
            (State::Chunk(_), left) => State::Chunk(left),
            (_, 0) => {
                self.seen = ScanEnd::Body;
                State::default()
            }
            (_, left) => State::Body(left),
        };
        self.before = 0;
        skipped
    }

    fn take(&mut self, byte: u8) -> u8 {
        if PREFACE.get(self.preface) == Some(&byte) {
            self.preface += 1;
            if self.preface == PREFACE.len() {
                self.state = State::Off;
                return byte;
            }
        } else {
            self.preface = usize::MAX;
        }
        let is_in_head = self.is_in_head();
        let after_cr = self.before == b'\r';
        self.before = byte;
        let verdict = match byte {
            b'\n' if after_cr => self.line_ended(),
            b'\n' => ByteVerdict::Replaced(NUL),
            _ if after_cr => ByteVerdict::Refused,
            b'\r' => ByteVerdict::Fine,
            _ => self.byte_of_line(byte),
        };
        if verdict == ByteVerdict::Fine {
            return byte;
        }
        self.state = State::Off;
        match verdict {
            ByteVerdict::Fault(refusal) => self.seen = ScanEnd::Fault(refusal),
            ByteVerdict::Replaced(_) | ByteVerdict::Refused if is_in_head => {
                self.seen = ScanEnd::Fault(Refusal::Line)
            }
            ByteVerdict::Replaced(other) => {
                self.is_spoiled = true;
                return other;
            }
            ByteVerdict::Fine | ByteVerdict::Refused => {}
        }
        byte
    }

    fn byte_of_line(&mut self, byte: u8) -> ByteVerdict {
        match &mut self.state {
            State::Head(head) => head.take(byte),
            State::Size(size) => match (byte, hex(byte)) {
                (_, Some(digit)) => match size.checked_mul(16).and_then(|size| size.checked_add(digit)) {
                    Some(larger) => {
                        *size = larger;
                        ByteVerdict::Fine
                    }
                    None => ByteVerdict::Refused,
                },
                (b';' | b' ' | b'\t', None) => {
                    self.state = State::Extension(*size);
                    ByteVerdict::Fine
                }
                (_, None) => ByteVerdict::Refused,
            },
            // In a chunk extension the parser refuses a line feed, and nothing else.
            State::Extension(_) if byte != b'\t' && byte.is_ascii_control() => ByteVerdict::Replaced(b'\n'),
            State::Extension(_) => ByteVerdict::Fine,
            State::Trailer { is_empty } => {
                *is_empty = false;
                ByteVerdict::Fine
            }
            State::ChunkEnd | State::Body(_) | State::Chunk(_) | State::Off => ByteVerdict::Refused,
        }
    }

    /// A line ended as it should.
    fn line_ended(&mut self) -> ByteVerdict {
        self.before = 0;
        self.state = match self.state {
            State::Head(mut head) => match head.line_ended() {
                Ok(None) => State::Head(head),
                Ok(Some(state)) => {
                    if self.preface != PREFACE_HEAD_BYTES {
                        self.seen = ScanEnd::Head;
                    }
                    state
                }
                Err(refusal) => return ByteVerdict::Fault(refusal),
            },
            State::Size(0) | State::Extension(0) => State::Trailer { is_empty: true },
            State::Size(size) | State::Extension(size) => State::Chunk(size),
            State::ChunkEnd => State::Size(0),
            State::Trailer { is_empty: false } => State::Trailer { is_empty: true },
            State::Trailer { is_empty: true } => {
                self.seen = ScanEnd::Body;
                State::default()
            }
            State::Body(_) | State::Chunk(_) | State::Off => State::Off,
        };
        ByteVerdict::Fine
    }
}

impl HeadScan {
    /// A byte of a line that is no part of its end.
    fn take(&mut self, byte: u8) -> ByteVerdict {
        if !self.has_request_line {
            self.line = HeadLine::Other;
            return ByteVerdict::Fine;
        }
        if self.line == HeadLine::Empty {
            self.line = HeadLine::Name([0; NAME_BYTES_MAX], 0);
        }
        match &mut self.line {
            HeadLine::Name(name, len) if byte == b':' => match name.get(..*len).unwrap_or_default() {
                b"content-length" if self.length.is_some() => return ByteVerdict::Fault(Refusal::Length),
                b"content-length" => self.line = HeadLine::Length { value: None, is_over: false },
                b"transfer-encoding" => {
                    self.is_chunked = true;
                    self.line = HeadLine::Other;
                }
                _ => self.line = HeadLine::Other,
            },
            HeadLine::Name(name, len) => {
                if let Some(place) = name.get_mut(*len) {
                    *place = byte.to_ascii_lowercase();
                }
                *len = len.saturating_add(1);
            }
            HeadLine::Length { value, is_over } => return length_byte(value, is_over, byte),
            HeadLine::Empty | HeadLine::Other => {}
        }
        ByteVerdict::Fine
    }

    /// The line ended; what comes after the head, if it was its last.
    fn line_ended(&mut self) -> Result<Option<State>, Refusal> {
        Ok(match std::mem::take(&mut self.line) {
            // The parser ignores empty lines before a request.
            HeadLine::Empty if !self.has_request_line => None,
            HeadLine::Empty => Some(match (self.is_chunked, self.length) {
                (true, _) => State::Size(0),
                (false, None | Some(0)) => State::default(),
                (false, Some(length)) => State::Body(length),
            }),
            HeadLine::Length { value: None, .. } => return Err(Refusal::Length),
            HeadLine::Length { value, .. } => {
                self.length = value;
                None
            }
            HeadLine::Name(..) | HeadLine::Other => {
                self.has_request_line = true;
                None
            }
        })
    }
}

/// Takes a byte of the value of `Content-Length`.
fn length_byte(value: &mut Option<u64>, is_over: &mut bool, byte: u8) -> ByteVerdict {
    if byte == b' ' || byte == b'\t' {
        *is_over = value.is_some();
        return ByteVerdict::Fine;
    }
    let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0')).filter(|_| !*is_over);
    let larger = digit.and_then(|digit| value.unwrap_or(0).checked_mul(10)?.checked_add(digit));
    *value = larger;
    if larger.is_some() { ByteVerdict::Fine } else { ByteVerdict::Fault(Refusal::Length) }
}

fn hex(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at all of it, or up to a fault.
    fn look(framing: &mut Framing, bytes: &mut [u8]) -> Option<Refusal> {
        let mut at = 0;
        while at < bytes.len() {
            let (count, seen) = framing.check(&mut bytes[at..]);
            at += count;
            if let ScanEnd::Fault(refusal) = seen {
                return Some(refusal);
            }
        }
        None
    }

    /// What the parser sees of these bytes, in one piece and byte by byte.
    fn seen(sent: &str) -> Result<String, Refusal> {
        let mut whole = sent.as_bytes().to_vec();
        let fault = look(&mut Framing::default(), &mut whole);
        let mut framing = Framing::default();
        let mut single = sent.as_bytes().to_vec();
        let single_fault = single.iter_mut().find_map(|byte| look(&mut framing, std::slice::from_mut(byte)));
        assert_eq!((fault, &whole), (single_fault, &single), "{sent:?}");
        fault.map_or_else(|| Ok(String::from_utf8(whole).unwrap()), Err)
    }

    fn check(sent: &str, expected: &str) {
        assert_eq!(seen(sent).as_deref(), Ok(expected), "{sent:?}");
    }

    fn check_fault(sent: &str, expected: Refusal) {
        assert_eq!(seen(sent), Err(expected), "{sent:?}");
    }

    fn check_untouched(sent: &str) {
        check(sent, sent);
        // Whatever came before, the next request is looked at again.
        check_fault(&format!("{sent}GET / HTTP/1.1\n"), Refusal::Line);
    }

    #[test]
    fn requests_as_they_should_be_are_left_alone() {
        check_untouched("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        check_untouched("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
        check_untouched("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        check_untouched("POST / HTTP/1.1\r\ncontent-LENGTH:\t 5 \r\nHost: a\r\n\r\n\n\0\n:\r");
        check_untouched("POST / HTTP/1.1\r\nX-Content-Length: 9\r\nContent-Length2: 9\r\n\r\n");
        check_untouched("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\n\0\r\r\n0\r\n\r\n");
        check_untouched(
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\na;x=\"y\";\tz\r\n0123456789\r\n00 \r\nA: b\r\n\r\n",
        );
        check_untouched("GET /a HTTP/1.1\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 2\r\n\r\n\n\n");
    }

    #[test]
    fn a_bare_line_feed_is_refused_wherever_a_line_ends() {
        check_fault("\nGET / HTTP/1.1\r\n", Refusal::Line);
        check_fault("GET / HTTP/1.1\nHost: a\n\n", Refusal::Line);
        check_fault("GET / HTTP/1.1\r\nHost: a\n\r\n", Refusal::Line);
        check_fault("GET / HTTP/1.1\r\nHost: a\r\n\n", Refusal::Line);
        check_fault("GET / HTTP/1.1\rHost: a", Refusal::Line);
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        check(&format!("{chunked}1\nx\r\n"), &format!("{chunked}1\0x\r\n"));
        check(&format!("{chunked}1\r\nx\n"), &format!("{chunked}1\r\nx\0"));
        check(&format!("{chunked}0\r\nA: b\n\r\n"), &format!("{chunked}0\r\nA: b\0\r\n"));
    }

    #[test]
    fn a_spoiled_trailer_gets_an_end_once() {
        let mut framing = Framing::default();
        let mut sent = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b".to_vec();
        assert_eq!(look(&mut framing, &mut sent), None);
        assert_eq!(framing.end_of_spoiled(), None);
        assert_eq!(look(&mut framing, &mut b"\n".to_vec()), None);
        assert_eq!(framing.end_of_spoiled(), Some(&b"\r\n\r\n"[..]));
        assert_eq!(framing.end_of_spoiled(), None);
    }

    #[test]
    fn a_length_is_one_number() {
        let twice = "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length";
        check_fault(&format!("{twice}: 1\r\n\r\nx"), Refusal::Length);
        for length in ["+1", "1 1", "1, 1", "", "18446744073709551616"] {
            check_fault(&format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n"), Refusal::Length);
        }
    }

    #[test]
    fn control_bytes_in_a_chunk_extension_are_refused() {
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;a=";
        check(&format!("{chunked}\0\r\nx\r\n"), &format!("{chunked}\n\r\nx\r\n"));
        check(&format!("{chunked}\u{7f}\r\nx\r\n"), &format!("{chunked}\n\r\nx\r\n"));
    }

    #[test]
    fn a_body_that_the_parser_refuses_is_not_looked_at_further() {
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        for size in ["x", "11111111111111111"] {
            let more = format!("{chunked}{size}\n\n\n");
            check(&more, &more);
        }
    }

    #[test]
    fn http_2_is_not_looked_at() {
        let text = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\n\n\0";
        check(text, text);
        check_fault("PRI * HTTP/2.0\r\n\r\nSN\n", Refusal::Line);
    }
}
