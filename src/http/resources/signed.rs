//! What a client must set on a signed request.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// Names and values, as one object.
///
/// `content-length` is signed too and not among them: every client sends it by itself, and a page may not set it.
pub(in crate::http) struct Headers<'a>(pub(in crate::http) &'a [(String, String)]);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.0.iter().filter(|(name, _)| name != "content-length") {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
