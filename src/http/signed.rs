//! What must be sent with a signed request, as clients are told.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// Names and values, as one object.
pub(super) struct Headers<'a>(pub(super) &'a [(String, String)]);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
