//! Paths of routes as patterns, and the ids that a path names.

use crate::domain::event::EventSchema;
use crate::domain::ids::{FileId, UserId};
use crate::http::error::ErrorCode;

/// A chunk's number in a path; none if it is not a number as we write it.
pub(in crate::http) type ChunkRef = Option<u16>;

/// The schema of an event type in a path; none if there is no such schema.
pub(in crate::http) type SchemaRef = Option<&'static EventSchema>;

/// The listener that a request arrived at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Listener {
    /// For clients.
    Api,
    /// For operators.
    Admin,
}

/// The listeners that serve a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listeners {
    /// For clients.
    Api,
    /// For operators.
    Admin,
    /// Both.
    Both,
}

impl Listeners {
    /// Whether this listener is one of them.
    pub(super) fn include(self, listener: Listener) -> bool {
        match self {
            Self::Api => listener == Listener::Api,
            Self::Admin => listener == Listener::Admin,
            Self::Both => true,
        }
    }
}

/// The ids that a path names. One that cannot be parsed is none, and answered like one that does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::http) struct Ids {
    /// `{file_id}`
    pub(in crate::http) file: Option<FileId>,
    /// `{chunk_id}`
    pub(in crate::http) chunk: ChunkRef,
    /// `{user_id}`
    pub(in crate::http) user: Option<UserId>,
    /// `{type}/{version}`
    pub(in crate::http) schema: SchemaRef,
    /// `{code}`
    pub(in crate::http) code: Option<ErrorCode>,
}

/// Segments of the longest path.
pub(super) const SEGMENTS_MAX: usize = 5;

#[derive(Clone, Copy, Debug)]
enum Segment {
    Fixed(&'static str),
    FileId,
    ChunkId,
    UserId,
    EventType,
    Version,
    Code,
}

/// A path with parameters, such as `/v1/files/{file_id}`.
#[derive(Clone, Copy, Debug)]
pub(super) struct PathPattern {
    text: &'static str,
    segments: [Segment; SEGMENTS_MAX],
    count: usize,
}

impl Segment {
    const fn parse(text: &'static str) -> Self {
        match text.as_bytes() {
            b"{file_id}" => Self::FileId,
            b"{chunk_id}" => Self::ChunkId,
            b"{user_id}" => Self::UserId,
            b"{type}" => Self::EventType,
            b"{version}" => Self::Version,
            b"{code}" => Self::Code,
            [b'{', ..] => panic!("a parameter that has no id"),
            _ => Self::Fixed(text),
        }
    }

    /// Whether the segment matches; `is_last` if nothing follows it.
    fn matches(&self, text: &str, is_last: bool) -> bool {
        match self {
            Self::Fixed(expected) => *expected == text,
            // A path that ends in a slash names no file.
            Self::FileId => !(is_last && text.is_empty()),
            Self::ChunkId | Self::UserId | Self::EventType | Self::Version | Self::Code => true,
        }
    }
}

impl PathPattern {
    /// Parses the path of a row, when the table is compiled.
    pub(super) const fn parse(text: &'static str) -> Self {
        let (slash, mut rest) = text.split_at(1);
        assert!(matches!(slash.as_bytes(), b"/"), "a path begins with a slash");
        let mut segments = [Segment::Fixed(""); SEGMENTS_MAX];
        let mut count = 0;
        loop {
            let mut end = 0;
            while end < rest.len() && rest.as_bytes()[end] != b'/' {
                end += 1;
            }
            let (segment, after) = rest.split_at(end);
            segments[count] = Segment::parse(segment);
            count += 1;
            if after.is_empty() {
                return Self { text, segments, count };
            }
            (_, rest) = after.split_at(1);
        }
    }

    /// The path as the table has it.
    pub(super) const fn text(&self) -> &'static str {
        self.text
    }

    /// The ids of a path, given by its segments; none if it does not match.
    pub(super) fn ids_of(&self, path: &[&str]) -> Option<Ids> {
        let parts = || self.segments.iter().zip(path);
        let is_match =
            |(at, (segment, text)): (usize, (&Segment, &&str))| segment.matches(text, at + 1 == self.count);
        if path.len() != self.count || !parts().enumerate().all(is_match) {
            return None;
        }
        let (mut ids, mut event_type) = (Ids::default(), "");
        for (segment, text) in parts() {
            match segment {
                Segment::Fixed(_) => {}
                Segment::FileId => ids.file = FileId::parse(text).ok(),
                Segment::ChunkId => ids.chunk = chunk_of(text),
                Segment::UserId => ids.user = UserId::parse(text).ok(),
                Segment::EventType => event_type = text,
                Segment::Version => ids.schema = EventSchema::find(event_type, text),
                Segment::Code => ids.code = ErrorCode::of_page(text),
            }
        }
        Some(ids)
    }
}

/// A number as we write it: without sign, leading zeros, or anything else.
fn chunk_of(text: &str) -> ChunkRef {
    text.parse::<u16>().ok().filter(|number| number.to_string() == text)
}
