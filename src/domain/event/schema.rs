//! The JSON Schemas of event data, by the names that `dataschema` gives them. The documents are in `nats/schemas`.

/// The schema of one event type's `data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventSchema {
    /// The event's short name, `files.processed`.
    pub name: &'static str,
    /// Its version. A new major version is a new event type.
    pub version: &'static str,
    /// The document, JSON Schema 2020-12.
    pub document: &'static str,
}

macro_rules! schemas {
    ($($name:literal $version:literal),* $(,)?) => {
        &[$(EventSchema {
            name: $name,
            version: $version,
            document: include_str!(concat!("../../../nats/schemas/", $name, "/", $version, ".json")),
        }),*]
    };
}

impl EventSchema {
    /// Every schema that an event of this release can name.
    pub const ALL: &[Self] = schemas![
        "files.deleted" "1.0",
        "files.expired" "1.0",
        "files.failed" "1.0",
        "files.processed" "1.0",
        "files.purged" "1.0",
        "files.reserved" "1.0",
        "files.restored" "1.0",
        "files.trashed" "1.0",
        "files.updated" "1.0",
        "usage.quota_changed" "1.0",
        "usage.state_changed" "1.0",
        "usage.threshold" "1.0",
    ];

    /// The schema of this event type and version, if there is one.
    #[must_use]
    pub fn find(name: &str, version: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|schema| schema.name == name && schema.version == version)
    }

    /// The absolute URI that events name it by: the CloudEvents SDKs refuse a relative one.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("urn:wharfinger:events:{}:{}", self.name, self.version)
    }
}
