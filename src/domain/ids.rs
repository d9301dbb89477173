//! Names of things. Each is parsed once, at the edge, into a type that cannot be wrong.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Text that is not the id it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID in its hyphenated form")]
pub struct IdError;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Takes a UUID as this id.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// Reads the hyphenated form, 36 characters, upper or lower case.
            ///
            /// # Errors
            /// Any other text; braces, URN and unhyphenated forms too.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                if text.len() != 36 {
                    return Err(IdError);
                }
                Uuid::try_parse(text).map(Self).map_err(|_| IdError)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

uuid_id! {
    /// A user: UUIDv5 of the token's issuer and `sub`. One issuer's settings may say that its `sub` is the id itself.
    UserId
}
uuid_id! {
    /// A file, from presign to gone. UUIDv7: ids made later sort later.
    FileId
}
uuid_id! {
    /// One attempt to write. An entry carries it, so a reader knows which attempt made that version.
    OpId
}
uuid_id! {
    /// An event, the same for every repeat of the same change.
    EventId
}

/// Namespace of user ids that are derived from a token's subject.
const USER_NAMESPACE: Uuid = Uuid::from_u128(0x6f1d_3f0e_6f0a_5d5c_9c2e_7768_6172_6675);
/// Namespace of event ids.
const EVENT_NAMESPACE: Uuid = Uuid::from_u128(0x6f1d_3f0e_6f0a_5d5c_9c2e_7768_6172_6665);

/// Bytes of a token's `sub` at most.
const SUBJECT_BYTES_MAX: usize = 255;

/// A `sub` that cannot name a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a subject is 1 to 255 bytes without control characters")]
pub struct SubjectError;

/// The UUID version of computed user ids.
const COMPUTED_VERSION: usize = 5;

impl UserId {
    /// The user of an issuer's `sub`: computed from both, also where the `sub` is a UUID.
    ///
    /// # Errors
    /// An empty subject, one over 255 bytes, or one with control characters.
    pub fn from_subject(issuer: &str, subject: &str) -> Result<Self, SubjectError> {
        if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX || subject.chars().any(char::is_control) {
            return Err(SubjectError);
        }
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        let name = format!("{}:{issuer}:{subject}", issuer.len());
        Ok(Self(Uuid::new_v5(&USER_NAMESPACE, name.as_bytes())))
    }

    /// The user of a `sub` of the one issuer whose UUIDs are user ids. Any other `sub` is computed.
    ///
    /// A version 5 UUID is computed too: it could be the id of another issuer's user.
    ///
    /// # Errors
    /// As [`UserId::from_subject`].
    pub fn from_uuid_subject(issuer: &str, subject: &str) -> Result<Self, SubjectError> {
        match Self::parse(subject) {
            Ok(id) if !id.is_computed() => Ok(id),
            Ok(_) | Err(IdError) => Self::from_subject(issuer, subject),
        }
    }

    /// Whether the id has the form of a computed one.
    #[must_use]
    pub fn is_computed(self) -> bool {
        self.0.get_version_num() == COMPUTED_VERSION
    }
}

impl EventId {
    /// The id of the event of `kind` for the user's entry at `version`.
    #[must_use]
    pub fn of(user: UserId, version: u64, event_type: &str) -> Self {
        Self(Uuid::new_v5(&EVENT_NAMESPACE, format!("{user}:{version}:{event_type}").as_bytes()))
    }
}

/// Where a file's bytes are in the bucket: `user/{user_id}/{file_id}`, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// The owner.
    pub user: UserId,
    /// Which file it is.
    pub file: FileId,
}

/// A key that is not one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a key of the form user/<uuid>/<uuid> in lower case")]
pub struct ObjectKeyError;

impl ObjectKey {
    /// What every key starts with.
    pub const PREFIX: &'static str = "user/";

    /// Reads a key that has been URL-decoded.
    ///
    /// # Errors
    /// Any key that we would not have written ourselves, to the letter.
    pub fn parse(key: &str) -> Result<Self, ObjectKeyError> {
        let rest = key.strip_prefix(Self::PREFIX).ok_or(ObjectKeyError)?;
        let (user, file) = rest.split_once('/').ok_or(ObjectKeyError)?;
        let parsed = Self {
            user: UserId::parse(user).map_err(|_| ObjectKeyError)?,
            file: FileId::parse(file).map_err(|_| ObjectKeyError)?,
        };
        if key.bytes().any(|b| b.is_ascii_uppercase()) { Err(ObjectKeyError) } else { Ok(parsed) }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}/{}", Self::PREFIX, self.user, self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "0199a3c4-0000-7000-8000-000000000001";

    #[test]
    fn a_uuid_is_a_subject_like_any_other() {
        let id = UserId::from_subject("https://issuer.example", UUID).unwrap();
        assert_ne!(id.to_string(), UUID);
        assert!(id.is_computed());
        assert_ne!(Ok(id), UserId::from_subject("https://other.example", UUID));
    }

    #[test]
    fn only_the_chosen_issuers_uuids_are_user_ids() {
        let of = |subject: &str| UserId::from_uuid_subject("https://issuer.example", subject).unwrap();
        assert_eq!(of(UUID).to_string(), UUID);
        assert_eq!(of(&UUID.to_uppercase()).to_string(), UUID);
        for name in ["alice", "{0199a3c4-0000-7000-8000-000000000001}", "0199a3c4000070008000000000000001"] {
            assert_eq!(Ok(of(name)), UserId::from_subject("https://issuer.example", name), "{name}");
        }
        assert_eq!(UserId::from_uuid_subject("i", ""), Err(SubjectError));
    }

    #[test]
    fn no_subject_is_the_computed_id_of_another_user() {
        let victim = UserId::from_subject("https://issuer.example", "alice").unwrap();
        let forged = victim.to_string();
        for issuer in ["https://issuer.example", "https://other.example"] {
            assert_ne!(UserId::from_subject(issuer, &forged), Ok(victim));
            assert_ne!(UserId::from_uuid_subject(issuer, &forged), Ok(victim));
            assert_ne!(UserId::from_uuid_subject(issuer, &forged.to_uppercase()), Ok(victim));
        }
    }

    #[test]
    fn other_subjects_depend_on_the_issuer_and_never_change() {
        let alice = UserId::from_subject("https://issuer.example", "alice").unwrap();
        assert_eq!(alice, UserId::from_subject("https://issuer.example", "alice").unwrap());
        assert_ne!(alice, UserId::from_subject("https://other.example", "alice").unwrap());
        assert_ne!(UserId::from_subject("ab", "c"), UserId::from_subject("a", "bc"));
        assert_eq!(
            alice.to_string(),
            "43f3a762-5037-590d-a169-0d586c80d111",
            "frozen: users would lose their files"
        );
    }

    #[test]
    fn a_subject_that_names_nobody_is_refused() {
        for bad in ["", "a\nb", "nul\0", &"x".repeat(256)] {
            assert_eq!(UserId::from_subject("i", bad), Err(SubjectError), "{bad:?}");
        }
        assert!(UserId::from_subject("i", &"x".repeat(255)).is_ok());
    }

    #[test]
    fn a_key_reads_back_and_only_ours_are_keys() {
        let key = "user/0199a3c4-0000-7000-8000-000000000001/0199a3c4-0000-7000-8000-000000000002";
        assert_eq!(ObjectKey::parse(key).unwrap().to_string(), key);
        let bad = [
            "",
            "user/",
            "user//",
            "users/x/y",
            &key.to_uppercase(),
            &format!("{key}/x"),
            &format!("/{key}"),
            &key.replace('-', ""),
            &key.replacen("user", "User", 1),
            &key.replace("7000", "7ABC"),
        ]
        .map(ToString::to_string);
        for bad in bad {
            assert_eq!(ObjectKey::parse(&bad), Err(ObjectKeyError), "{bad}");
        }
    }

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        assert!(FileId::parse("0199a3c4000070008000000000000001").is_err());
        assert!(FileId::parse("{0199a3c4-0000-7000-8000-000000000001}").is_err());
        assert!(FileId::parse("../../etc/passwd").is_err());
    }
}
