//! Which user the `sub` of an issuer's tokens names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::settings::{AuthSettings, IssuerSettings};
use crate::domain::ids::{SubjectError, UserId};

/// What the `sub` of an issuer's tokens is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// A name that only this issuer understands: the user id is computed from issuer and `sub`.
    Name,
    /// The user id itself, if it is a UUID and not of version 5. At most one issuer of a deployment.
    Uuid,
}

impl IssuerSettings {
    /// The user that a `sub` of this issuer names.
    ///
    /// # Errors
    /// An empty subject, one over 255 bytes, or one with control characters.
    pub fn user_of(&self, subject: &str) -> Result<UserId, SubjectError> {
        match self.subject {
            Some(SubjectKind::Uuid) => UserId::from_uuid_subject(&self.issuer, subject),
            Some(SubjectKind::Name) | None => UserId::from_subject(&self.issuer, subject),
        }
    }
}

impl AuthSettings {
    /// The fault of the subjects of several issuers: two of them could name the same user, or an upgrade would
    /// change user ids silently.
    #[must_use]
    pub fn subject_fault(&self) -> Option<String> {
        let are_ids = |issuer: &&IssuerSettings| issuer.subject == Some(SubjectKind::Uuid);
        if let [first, second, ..] = self.issuers.iter().filter(are_ids).collect::<Vec<_>>()[..] {
            return Some(format!(
                "{:?} and {:?} both have subject = \"uuid\", so each could issue tokens for users of the other; \
                 at most one issuer may have it",
                first.issuer, second.issuer
            ));
        }
        let unset = self.issuers.iter().find(|issuer| issuer.subject.is_none())?;
        (self.issuers.len() > 1).then(|| {
            format!(
                "{:?} needs a subject, because there are several issuers: set subject = \"name\", or \
                 subject = \"uuid\" for the one issuer whose UUIDs are user ids (earlier versions took the UUIDs \
                 of every issuer as user ids)",
                unset.issuer
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::IssuerAlgorithm;

    fn issuer(name: &str, subject: Option<SubjectKind>) -> IssuerSettings {
        IssuerSettings {
            issuer: name.to_owned(),
            audience: "files".to_owned(),
            algorithm: IssuerAlgorithm::HS256,
            key_file: "key".into(),
            kid: None,
            roles_claim: "roles".to_owned(),
            subject,
        }
    }

    fn check(subjects: &[Option<SubjectKind>], expected: &str) {
        let issuers = (0_u8..).zip(subjects).map(|(n, subject)| issuer(&format!("i{n}"), *subject)).collect();
        let fault = AuthSettings { issuers }.subject_fault().unwrap_or_default();
        assert_eq!(fault.is_empty(), expected.is_empty(), "{subjects:?}: {fault}");
        assert!(fault.contains(expected), "{subjects:?}: {fault}");
    }

    #[test]
    fn several_issuers_say_what_their_subjects_are_and_one_has_ids() {
        let (name, uuid) = (Some(SubjectKind::Name), Some(SubjectKind::Uuid));
        for fine in [&[][..], &[None], &[uuid], &[name, name], &[name, uuid, name]] {
            check(fine, "");
        }
        check(&[uuid, name, uuid], "\"i0\" and \"i2\" both have subject = \"uuid\"");
        check(&[name, None], "\"i1\" needs a subject");
        check(&[None, None], "\"i0\" needs a subject");
        check(&[None, uuid], "\"i0\" needs a subject");
    }

    #[test]
    fn a_setting_chooses_how_a_uuid_is_read() {
        let text = "0199a3c4-0000-7000-8000-000000000001";
        let id = UserId::parse(text);
        assert_eq!(issuer("i", Some(SubjectKind::Uuid)).user_of(text).ok(), id.ok());
        for subject in [None, Some(SubjectKind::Name)] {
            assert_eq!(issuer("i", subject).user_of(text), UserId::from_subject("i", text));
        }
    }
}
