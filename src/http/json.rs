//! Objects in request bodies, read strictly: every field once, none unknown, every fault told at once.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::error::{ErrorCode, FieldFault, Problem};

/// Fields of one object at most: bounds the search for repeated ones.
const FIELDS_MAX: usize = 32;

/// A JSON value of one field; what no route takes is not kept.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Field<'a> {
    Null,
    Flag,
    /// A whole number from 0; larger than 64 bits is taken as the largest.
    Count(u64),
    /// Negative, or with a fraction.
    OtherNumber,
    Text(Cow<'a, str>),
    Nested,
}

/// An object, from which the known fields are taken one by one.
#[derive(Debug)]
pub(super) struct Object<'a> {
    fields: Vec<(Cow<'a, str>, Field<'a>)>,
    faults: Vec<FieldFault>,
}

impl<'a> Object<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// `invalid_json`; `validation_failed` if it is not an object.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, Problem> {
        let mut reader = serde_json::Deserializer::from_slice(body);
        let read = Top::deserialize(&mut reader).and_then(|top| reader.end().map(|()| top));
        match read.map_err(|error| invalid(&error))? {
            Top::Object(object) => Ok(object),
            Top::Other => Err(Problem::fields(vec![FieldFault {
                pointer: "".into(),
                code: "wrong_type",
                detail: "The body must be an object.".into(),
            }])),
        }
    }

    /// Notes a fault of a field.
    pub(super) fn fault(&mut self, name: &str, code: &'static str, detail: impl Into<Cow<'static, str>>) {
        self.faults.push(FieldFault::field(name, code, detail));
    }

    /// A field, whatever it holds.
    pub(super) fn take(&mut self, name: &str) -> Option<Field<'a>> {
        let at = self.fields.iter().position(|(found, _)| found == name)?;
        Some(self.fields.swap_remove(at).1)
    }

    /// A text that may be left out; `null` counts as left out.
    pub(super) fn text(&mut self, name: &str) -> Option<Cow<'a, str>> {
        match self.take(name)? {
            Field::Text(text) => Some(text),
            Field::Null => None,
            Field::Flag | Field::Count(_) | Field::OtherNumber | Field::Nested => {
                self.fault(name, "wrong_type", "This must be a string.");
                None
            }
        }
    }

    /// A text that must be there.
    pub(super) fn needed_text(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let faults = self.faults.len();
        let text = self.text(name);
        if text.is_none() && self.faults.len() == faults {
            self.fault(name, "required", "This is needed.");
        }
        text
    }

    /// A whole number from 1 that must be there.
    pub(super) fn needed_count(&mut self, name: &str) -> Option<u64> {
        match self.take(name) {
            Some(Field::Count(0) | Field::OtherNumber) => {
                self.fault(name, "out_of_range", "This must be a whole number from 1.");
                None
            }
            Some(Field::Count(count)) => Some(count),
            Some(Field::Flag | Field::Text(_) | Field::Nested) => {
                self.fault(name, "wrong_type", "This must be a whole number.");
                None
            }
            Some(Field::Null) | None => {
                self.fault(name, "required", "This is needed.");
                None
            }
        }
    }

    /// Ends the reading: what was not taken is unknown.
    ///
    /// # Errors
    /// `validation_failed` with every fault.
    pub(super) fn end(mut self) -> Result<(), Problem> {
        for (name, _) in &self.fields {
            let name: String = name.chars().take(64).collect();
            self.faults.push(FieldFault::field(&name, "unknown_field", "There is no such field."));
        }
        if self.faults.is_empty() { Ok(()) } else { Err(Problem::fields(self.faults)) }
    }
}

fn invalid(error: &serde_json::Error) -> Problem {
    let detail = format!("The body is not JSON at line {}, column {}.", error.line(), error.column());
    Problem::new(ErrorCode::InvalidJson).detail(detail)
}

/// An answer's bytes.
pub(super) fn to_vec(value: &impl Serialize, bytes_about: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(bytes_about);
    serde_json::to_writer(&mut bytes, value).expect("an answer has text keys and goes to memory");
    bytes
}

enum Top<'a> {
    Object(Object<'a>),
    Other,
}

impl<'de> Deserialize<'de> for Top<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TopVisitor)
    }
}

struct TopVisitor;

macro_rules! other_for {
    ($($visit:ident: $kind:ty),*) => {
        $(fn $visit<E>(self, _: $kind) -> Result<Self::Value, E> {
            Ok(Top::Other)
        })*
    };
}

impl<'de> Visitor<'de> for TopVisitor {
    type Value = Top<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    other_for!(visit_bool: bool, visit_u64: u64, visit_i64: i64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Top::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Top::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut object = Object { fields: Vec::with_capacity(8), faults: Vec::new() };
        while let Some(name) = map.next_key_seed(TextSeed)? {
            let value = map.next_value_seed(FieldSeed)?;
            if object.fields.len() + object.faults.len() >= FIELDS_MAX {
                return Err(A::Error::custom("too many fields"));
            }
            if object.fields.iter().any(|(known, _)| *known == name) {
                object.fault(&name, "duplicate_field", "This is there twice.");
            } else {
                object.fields.push((name, value));
            }
        }
        Ok(Top::Object(object))
    }
}

/// A text, borrowed from the body where it has no escapes.
struct TextSeed;

impl<'de> DeserializeSeed<'de> for TextSeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for TextSeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

struct FieldSeed;

impl<'de> DeserializeSeed<'de> for FieldSeed {
    type Value = Field<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// 2 to the 64th.
const COUNT_END: f64 = 18_446_744_073_709_551_616.0;

impl<'de> Visitor<'de> for FieldSeed {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Field::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Field::Flag)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Field::Count(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(u64::try_from(number).map_or(Field::OtherNumber, Field::Count))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(if number >= COUNT_END { Field::Count(u64::MAX) } else { Field::OtherNumber })
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Field::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Field::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Nested)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Nested)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What reading `body` as `{"name": text, "count": number, "note": optional text}` comes to.
    fn check(body: &str, expected: &str) {
        let read = Object::parse(body.as_bytes()).and_then(|mut object| {
            let (name, count) = (object.needed_text("name"), object.needed_count("count"));
            let note = object.text("note");
            object.end().map(|()| format!("{name:?} {count:?} {note:?}"))
        });
        let outcome = read.unwrap_or_else(|problem| {
            let faults = problem.faults().iter().map(|fault| format!(" {}:{}", fault.pointer, fault.code));
            format!("{}{}", problem.code().as_str(), faults.collect::<String>())
        });
        assert_eq!(outcome, expected, "{body}");
    }

    #[test]
    fn what_is_right_is_read() {
        check(r#"{"name": "a", "count": 1}"#, r#"Some("a") Some(1) None"#);
        check(r#"{"note": null, "count": 7, "name": "\u0061\n"}"#, r#"Some("a\n") Some(7) None"#);
        check(
            r#"{"name":"a","count":99999999999999999999999}"#,
            r#"Some("a") Some(18446744073709551615) None"#,
        );
    }

    #[test]
    fn every_fault_is_told_at_once() {
        check("{}", "validation_failed /name:required /count:required");
        check(
            r#"{"name": 1, "count": "1", "note": []}"#,
            "validation_failed /name:wrong_type /count:wrong_type /note:wrong_type",
        );
        check(r#"{"name": "a", "count": 0}"#, "validation_failed /count:out_of_range");
        check(r#"{"name": "a", "count": -1}"#, "validation_failed /count:out_of_range");
        check(r#"{"name": "a", "count": 1.5}"#, "validation_failed /count:out_of_range");
        check(r#"{"name": "a", "count": 1, "a/b~c": {}}"#, "validation_failed /a~1b~0c:unknown_field");
        check(r#"{"name": "a", "count": 1, "name": "b"}"#, "validation_failed /name:duplicate_field");
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for body in ["[]", "1", "-1", "1.5", "\"x\"", "null", "true", "[{\"name\": \"a\"}]"] {
            check(body, "validation_failed :wrong_type");
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        let deep = format!("{{\"name\": {}{}}}", "[".repeat(30_000), "]".repeat(30_000));
        let wide = format!("{{{}}}", (0..40).map(|n| format!("\"f{n}\": 1")).collect::<Vec<_>>().join(","));
        for body in [
            "",
            "{",
            "{}x",
            "{'name': 1}",
            "{\"name\": \"\u{0}\"}",
            "\u{feff}{}",
            "{\"count\": 1e999}",
            &wide,
        ] {
            check(body, "invalid_json");
        }
        check(&deep, "validation_failed /name:wrong_type /count:required");
        assert!(Object::parse(b"{\"name\": \"\xff\"}").is_err());
    }
}
