//! Objects in request bodies, read strictly: every field once, none unknown, all faults reported together.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::http::error::{ErrorCode, FieldFault, Problem};

mod shape;

/// A JSON value of one field; what no route takes is not kept.
#[derive(Debug)]
pub(in crate::http) enum Field<'a> {
    Null,
    Flag,
    /// A whole number from 0; larger than 64 bits is taken as the largest.
    Count(u64),
    /// Negative, or with a fraction.
    OtherNumber,
    Text(Cow<'a, str>),
    /// A list, of which only the start is kept.
    List(Vec<Top<'a>>),
    Nested,
}

/// A value in place of an object.
#[derive(Debug)]
pub(in crate::http) enum Top<'a> {
    Object(Object<'a>),
    Other,
}

/// An object, from which the known fields are taken one by one.
#[derive(Debug)]
pub(in crate::http) struct Object<'a> {
    /// Its position in the body, as a JSON pointer.
    place: String,
    fields: Vec<(Cow<'a, str>, Field<'a>)>,
    faults: Vec<FieldFault>,
}

impl<'a> Object<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// `invalid_json`; `validation_failed` if it is not an object.
    pub(in crate::http) fn parse(body: &'a [u8]) -> Result<Self, Problem> {
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
    pub(in crate::http) fn fault(
        &mut self,
        name: &str,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) {
        self.faults.push(FieldFault::field(&self.place, name, code, detail));
    }

    /// Its position in the body, as a JSON pointer; empty for the whole.
    pub(in crate::http) fn place(&self) -> &str {
        &self.place
    }

    /// A field, whatever it holds.
    pub(in crate::http) fn take(&mut self, name: &str) -> Option<Field<'a>> {
        let at = self.fields.iter().position(|(found, _)| found == name)?;
        Some(self.fields.swap_remove(at).1)
    }

    /// A text that may be left out; `null` counts as left out.
    pub(in crate::http) fn text(&mut self, name: &str) -> Option<Cow<'a, str>> {
        match self.take(name)? {
            Field::Text(text) => Some(text),
            Field::Null => None,
            Field::Flag | Field::Count(_) | Field::OtherNumber | Field::List(_) | Field::Nested => {
                self.fault(name, "wrong_type", "This must be a string.");
                None
            }
        }
    }

    /// A text that must be there.
    pub(in crate::http) fn needed_text(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let faults = self.faults.len();
        let text = self.text(name);
        if text.is_none() && self.faults.len() == faults {
            self.fault(name, "required", "This is needed.");
        }
        text
    }

    /// A whole number from 1 that may be left out; `null` counts as left out.
    pub(in crate::http) fn count(&mut self, name: &str) -> Option<u64> {
        self.number(name, 1)
    }

    /// A whole number from 0 that must be there.
    pub(in crate::http) fn needed_size(&mut self, name: &str) -> Option<u64> {
        let faults = self.faults.len();
        let size = self.number(name, 0);
        if size.is_none() && self.faults.len() == faults {
            self.fault(name, "required", "This is needed.");
        }
        size
    }

    fn number(&mut self, name: &str, min: u64) -> Option<u64> {
        match self.take(name) {
            Some(Field::Count(count)) if count >= min => Some(count),
            Some(Field::Count(_) | Field::OtherNumber) => {
                self.fault(name, "out_of_range", format!("This must be a whole number from {min}."));
                None
            }
            Some(Field::Flag | Field::Text(_) | Field::List(_) | Field::Nested) => {
                self.fault(name, "wrong_type", "This must be a whole number.");
                None
            }
            Some(Field::Null) | None => None,
        }
    }

    /// A list of 1 to `max` objects that must be there. Each collects its own faults: [`Object::absorb`] it when it
    /// has been read.
    pub(in crate::http) fn needed_objects(&mut self, name: &str, max: usize) -> Vec<Self> {
        let items = match self.take(name) {
            Some(Field::List(items)) if (1..=max).contains(&items.len()) => items,
            Some(Field::List(_)) => {
                self.fault(name, "out_of_range", format!("This must hold 1 to {max} items."));
                return Vec::new();
            }
            Some(Field::Flag | Field::Count(_) | Field::OtherNumber | Field::Text(_) | Field::Nested) => {
                self.fault(name, "wrong_type", "This must be a list.");
                return Vec::new();
            }
            Some(Field::Null) | None => {
                self.fault(name, "required", "This is needed.");
                return Vec::new();
            }
        };
        let mut objects = Vec::with_capacity(items.len());
        for (at, item) in items.into_iter().enumerate() {
            match item {
                Top::Object(object) => objects.push(object.moved_to(format!("/{name}/{at}"))),
                Top::Other => {
                    let place = format!("/{name}");
                    self.faults.push(FieldFault::field(
                        &place,
                        &at.to_string(),
                        "wrong_type",
                        "This must be an object.",
                    ));
                }
            }
        }
        objects
    }

    /// Tells its faults from now on as those of an item of a larger body.
    fn moved_to(self, place: String) -> Self {
        let Self { place: _, fields, mut faults } = self;
        for fault in &mut faults {
            fault.pointer = format!("{place}{}", fault.pointer).into();
        }
        Self { place, fields, faults }
    }

    /// Takes over the faults of an item that has been read; what was not taken of it is unknown.
    pub(in crate::http) fn absorb(&mut self, mut item: Self) {
        item.refuse_the_rest();
        self.faults.append(&mut item.faults);
    }

    fn refuse_the_rest(&mut self) {
        for (name, _) in std::mem::take(&mut self.fields) {
            let name: String = name.chars().take(64).collect();
            self.fault(&name, "unknown_field", "There is no such field.");
        }
    }

    /// Ends the reading: what was not taken is unknown.
    ///
    /// # Errors
    /// `validation_failed` with every fault.
    pub(in crate::http) fn end(mut self) -> Result<(), Problem> {
        self.refuse_the_rest();
        if self.faults.is_empty() { Ok(()) } else { Err(Problem::fields(self.faults)) }
    }
}

fn invalid(error: &serde_json::Error) -> Problem {
    let detail = format!("The body is not JSON at line {}, column {}.", error.line(), error.column());
    Problem::new(ErrorCode::InvalidJson).detail(detail)
}

/// An answer's bytes.
pub(in crate::http) fn to_vec(value: &impl Serialize, bytes_about: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(bytes_about);
    serde_json::to_writer(&mut bytes, value).expect("an answer has text keys and goes to memory");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What reading `body` as `{"name": text, "size": number, "count": optional number, "note": optional text}` gives.
    fn check(body: &str, expected: &str) {
        let read = Object::parse(body.as_bytes()).and_then(|mut object| {
            let (name, size) = (object.needed_text("name"), object.needed_size("size"));
            let (count, note) = (object.count("count"), object.text("note"));
            object.end().map(|()| format!("{name:?} {size:?} {count:?} {note:?}"))
        });
        let outcome = read.unwrap_or_else(|problem| {
            let faults = problem.faults().iter().map(|fault| format!(" {}:{}", fault.pointer, fault.code));
            format!("{}{}", problem.code().as_str(), faults.collect::<String>())
        });
        assert_eq!(outcome, expected, "{body}");
    }

    #[test]
    fn what_is_right_is_read() {
        check(r#"{"name": "a", "size": 0}"#, r#"Some("a") Some(0) None None"#);
        check(
            r#"{"note": null, "count": 7, "size": 1, "name": "\u0061\n"}"#,
            r#"Some("a\n") Some(1) Some(7) None"#,
        );
        check(
            r#"{"name":"a","size":99999999999999999999999}"#,
            r#"Some("a") Some(18446744073709551615) None None"#,
        );
    }

    #[test]
    fn every_fault_is_told_at_once() {
        check("{}", "validation_failed /name:required /size:required");
        check(
            r#"{"name": 1, "size": "1", "note": []}"#,
            "validation_failed /name:wrong_type /size:wrong_type /note:wrong_type",
        );
        check(r#"{"name": "a", "size": 1, "count": 0}"#, "validation_failed /count:out_of_range");
        check(r#"{"name": "a", "size": -1}"#, "validation_failed /size:out_of_range");
        check(r#"{"name": "a", "size": 1.5}"#, "validation_failed /size:out_of_range");
        check(r#"{"name": "a", "size": 1, "a/b~c": {}}"#, "validation_failed /a~1b~0c:unknown_field");
        check(r#"{"name": "a", "size": 1, "name": "b"}"#, "validation_failed /name:duplicate_field");
    }

    #[test]
    fn an_object_has_only_so_many_fields() {
        let fields: Vec<_> = (0..40).map(|number| format!("\"{number}\": 1")).collect();
        let body = format!("{{{}}}", fields.join(","));
        let mut object = Object::parse(body.as_bytes()).unwrap();
        for number in 0..40 {
            object.take(&number.to_string());
        }
        let problem = object.end().unwrap_err();
        let told: Vec<_> = problem.faults().iter().map(|fault| (&*fault.pointer, fault.code)).collect();
        assert_eq!(told, [("/32", "too_many_fields")]);
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
        for body in
            ["", "{", "{}x", "{'name': 1}", "{\"name\": \"\u{0}\"}", "\u{feff}{}", "{\"count\": 1e999}"]
        {
            check(body, "invalid_json");
        }
        check(&deep, "validation_failed /name:wrong_type /size:required");
        assert!(Object::parse(b"{\"name\": \"\xff\"}").is_err());
    }
}
