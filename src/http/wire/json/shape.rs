//! How bytes become objects: what is not kept is still read, so that what follows is understood.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Field, Object, Top};
use crate::limits::BATCH_UPLOADS_MAX;

/// Fields of one object at most: bounds the search for repeated ones.
const FIELDS_MAX: usize = 32;
/// Items of a list that are kept; more than any route takes.
const ITEMS_KEPT_MAX: usize = 64;
const _: () = assert!(BATCH_UPLOADS_MAX < ITEMS_KEPT_MAX, "a list that is too long is seen to be");

impl<'de> Deserialize<'de> for Top<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TopVisitor { keeps_lists: true })
    }
}

/// An item of a list. Lists inside it are not kept: no route takes them.
struct ItemSeed;

impl<'de> DeserializeSeed<'de> for ItemSeed {
    type Value = Top<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(TopVisitor { keeps_lists: false })
    }
}

struct TopVisitor {
    keeps_lists: bool,
}

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
        let mut object = Object { place: String::new(), fields: Vec::with_capacity(8), faults: Vec::new() };
        while let Some(name) = map.next_key_seed(TextSeed)? {
            let value = map.next_value_seed(FieldSeed { keeps_lists: self.keeps_lists })?;
            let count = object.fields.len() + object.faults.len();
            if count > FIELDS_MAX {
                continue;
            }
            if count == FIELDS_MAX {
                object.fault(&name, "too_many_fields", format!("An object has at most {FIELDS_MAX} fields."));
            } else if object.fields.iter().any(|(known, _)| *known == name) {
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

struct FieldSeed {
    keeps_lists: bool,
}

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
        let mut items = Vec::new();
        while self.keeps_lists
            && items.len() < ITEMS_KEPT_MAX
            && let Some(item) = seq.next_element_seed(ItemSeed)?
        {
            items.push(item);
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(if self.keeps_lists { Field::List(items) } else { Field::Nested })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Nested)
    }
}
