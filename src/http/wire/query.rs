//! The query of a target: each parameter once, none unknown.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::http::error::{FieldFault, Problem};
use crate::limits;

/// Parameters of one query at most.
const PARAMETERS_MAX: usize = 16;

/// The parameters, from which the known ones are taken one by one.
#[derive(Debug)]
pub(in crate::http) struct Query<'a> {
    parameters: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    faults: Vec<FieldFault>,
}

impl<'a> Query<'a> {
    /// Reads a query, percent-encoded, with `+` for a space.
    pub(in crate::http) fn parse(query: Option<&'a str>) -> Self {
        let mut read = Self { parameters: Vec::new(), faults: Vec::new() };
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        for (at, pair) in pairs.enumerate() {
            if at == PARAMETERS_MAX {
                read.fault("", "too_many_parameters", "These are more parameters than any route takes.");
                break;
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (decoded(name), decoded(value)) {
                (Some(name), Some(_)) if read.parameters.iter().any(|(known, _)| *known == name) => {
                    read.fault(&name, "duplicate_parameter", "This is there twice.");
                }
                (Some(name), Some(value)) => read.parameters.push((name, value)),
                (None, _) | (_, None) => read.fault("", "not_utf8", "The query is not UTF-8."),
            }
        }
        read
    }

    /// Notes a fault of a parameter.
    pub(in crate::http) fn fault(
        &mut self,
        name: &str,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) {
        self.faults.push(FieldFault::query(name, code, detail));
    }

    /// A parameter's value.
    pub(in crate::http) fn take(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let at = self.parameters.iter().position(|(found, _)| found == name)?;
        Some(self.parameters.swap_remove(at).1)
    }

    /// A parameter that is one of some words; another value is a fault.
    pub(in crate::http) fn word<T: Copy>(&mut self, name: &str, words: &[(&'static str, T)]) -> Option<T> {
        let value = self.take(name)?;
        let found = words.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.fault(name, "unknown_value", format!("This must be one of {}.", known.join(", ")));
        }
        found
    }

    /// `size`, the items of a page: more than [`limits::PAGE_MAX`] is taken as that, less than 1 is a fault.
    pub(in crate::http) fn page_size(&mut self) -> usize {
        match self.take("size").map(|text| text.parse::<u64>()) {
            None => limits::PAGE_DEFAULT,
            Some(Ok(size @ 1..)) => usize::try_from(size).unwrap_or(usize::MAX).min(limits::PAGE_MAX),
            Some(Ok(0) | Err(_)) => {
                self.fault("size", "out_of_range", "This must be a whole number from 1.");
                0
            }
        }
    }

    /// Ends the reading: what was not taken is unknown.
    ///
    /// # Errors
    /// `validation_failed` with every fault.
    pub(in crate::http) fn end(mut self) -> Result<(), Problem> {
        for (name, _) in &self.parameters {
            let name: String = name.chars().take(64).collect();
            self.faults.push(FieldFault::query(&name, "unknown_parameter", "There is no such parameter."));
        }
        if self.faults.is_empty() { Ok(()) } else { Err(Problem::fields(self.faults)) }
    }
}

fn decoded(raw: &str) -> Option<Cow<'_, str>> {
    if raw.contains('+') {
        let spaced = raw.replace('+', " ");
        return percent_decode_str(&spaced).decode_utf8().ok().map(|text| Cow::Owned(text.into_owned()));
    }
    percent_decode_str(raw).decode_utf8().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expected: &str) {
        let mut read = Query::parse(Some(query));
        let (a, on) = (read.take("a"), read.word("on", &[("yes", true), ("no", false)]));
        let outcome = match read.end() {
            Ok(()) => format!("{a:?} {on:?}"),
            Err(problem) => {
                problem.faults().iter().map(|fault| format!("{}:{} ", fault.pointer, fault.code)).collect()
            }
        };
        assert_eq!(outcome, expected, "{query}");
    }

    #[test]
    fn parameters_are_decoded() {
        check("", "None None");
        check("a=x%20y+z&on=yes", r#"Some("x y z") Some(true)"#);
        check("on=no&&a", r#"Some("") Some(false)"#);
        check("a=1%2B1%3D2", r#"Some("1+1=2") None"#);
    }

    #[test]
    fn what_is_unknown_or_twice_is_refused() {
        check("b=1", "?b:unknown_parameter ");
        check("a=1&a=2", "?a:duplicate_parameter ");
        check("on=maybe", "?on:unknown_value ");
        check("a=%ff", "?:not_utf8 ");
    }
}
