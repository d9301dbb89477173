//! Settings from the environment, and variables that look like settings and are none.

use std::ffi::OsString;

use figment::value::Value;

use super::problem::Problem;
use super::source::{Origin, Setting};
use super::text;

/// What names of environment variables start with.
const PREFIX: &str = "WHARF_";
/// What separates the parts of a key in the name of an environment variable.
const SEPARATOR: &str = "__";
/// How alike (0 to 1) a variable and a setting must be for the one to be a slip of the other.
const SIMILARITY_MIN: f64 = 0.8;
/// Endings of the variables that Kubernetes and Docker set for a service.
const OF_A_SERVICE: [&str; 4] = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT", "_TCP"];

/// A variable without `__` that names no setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredVariable {
    /// Its name.
    pub name: String,
    /// The variable that was probably meant.
    pub near: Option<String>,
}

/// The settings found in environment variables.
#[derive(Debug, Default)]
pub(super) struct Environment {
    pub(super) settings: Vec<Setting>,
    pub(super) ignored: Vec<IgnoredVariable>,
    pub(super) problems: Vec<Problem>,
}

/// Reads every variable that starts with `WHARF_`.
///
/// A name with `__` is meant for us, so one that is unknown is an error later. A name without is a setting if it
/// is one of those outside of sections; otherwise it is ignored: beside a Service named `wharf`, Kubernetes sets
/// `WHARF_PORT` and its like in every pod.
pub(super) fn read(variables: &[(OsString, OsString)], defaults: &Value, known: &[String]) -> Environment {
    let mut found = Environment::default();
    let mut ours: Vec<_> =
        variables.iter().filter_map(|(name, value)| Some((name.to_str()?, value))).collect();
    ours.sort();
    for (name, value) in ours {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let key = rest.to_ascii_lowercase().replace(SEPARATOR, ".");
        if !rest.contains(SEPARATOR) && defaults.find_ref(&key).is_none() {
            found.ignored.push(IgnoredVariable { name: name.to_owned(), near: nearest(&key, known) });
            continue;
        }
        match setting(name, &key, value.to_str(), defaults) {
            Ok(setting) => found.settings.push(setting),
            Err(problem) => found.problems.push(problem),
        }
    }
    found
}

fn setting(name: &str, key: &str, value: Option<&str>, defaults: &Value) -> Result<Setting, Problem> {
    let origin = Origin::Env { name: name.to_owned() };
    let refused = |text: &str| Problem { key: key.to_owned(), text: text.to_owned(), origin: origin.clone() };
    let path: Vec<String> = key.split('.').map(str::to_owned).collect();
    if path.iter().any(String::is_empty) {
        return Err(refused("not the name of a setting; write WHARF_SECTION__KEY"));
    }
    let value = value.ok_or_else(|| refused("the value is not UTF-8"))?;
    Ok(Setting::new(path, text::typed(value, defaults.find_ref(key)), value, origin))
}

/// The variable of the setting whose name is most like this one: `http_listen` finds `WHARF_HTTP__LISTEN`.
fn nearest(key: &str, known: &[String]) -> Option<String> {
    let score = |known: &String| strsim::normalized_damerau_levenshtein(key, &known.replace('.', "_"));
    let (near, score) =
        known.iter().map(|known| (known, score(known))).max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let variable = || format!("{PREFIX}{}", near.to_ascii_uppercase().replace('.', SEPARATOR));
    (score >= SIMILARITY_MIN).then(variable)
}

/// One line about variables that are ignored; none if there are none.
#[must_use]
pub fn ignored_line(ignored: &[IgnoredVariable]) -> Option<String> {
    let names: Vec<_> = ignored.iter().map(|variable| variable.name.as_str()).collect();
    let (first, rest) = names.split_first()?;
    let subject = if rest.is_empty() {
        format!("the environment variable {first} is no setting and is ignored")
    } else {
        format!("the environment variables {} are no settings and are ignored", names.join(", "))
    };
    let is_of_a_service = |name: &&str| OF_A_SERVICE.iter().any(|ending| name.contains(ending));
    let kubernetes = if names.iter().any(is_of_a_service) {
        "; Kubernetes sets such variables for a Service named wharf: enableServiceLinks: false in the pod's spec \
         leaves them out"
    } else {
        ""
    };
    let meant = ignored.iter().filter_map(|variable| Some((&variable.name, variable.near.as_ref()?)));
    let meant: String = meant.map(|(name, near)| format!("; for {name}, did you mean {near}?")).collect();
    Some(format!("{subject}{meant}{kubernetes}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], expected: Option<&str>) {
        let known = ["http.listen", "shards", "upload.max_bytes"].map(str::to_owned);
        let ignored: Vec<_> = names
            .iter()
            .map(|name| IgnoredVariable {
                name: (*name).to_owned(),
                near: nearest(&name[PREFIX.len()..].to_ascii_lowercase(), &known),
            })
            .collect();
        let line = ignored_line(&ignored);
        match expected {
            Some(expected) => assert!(line.as_ref().is_some_and(|line| line.contains(expected)), "{line:?}"),
            None => assert_eq!(line, None),
        }
    }

    #[test]
    fn ignored_variables_are_one_line_with_a_hint() {
        check(&[], None);
        check(&["WHARF_SERVICE_HOST", "WHARF_PORT"], Some("enableServiceLinks: false"));
        check(&["WHARF_PORT_8080_TCP"], Some("WHARF_PORT_8080_TCP is no setting and is ignored; Kubernetes"));
        check(&["WHARF_HTTP_LISTEN"], Some("for WHARF_HTTP_LISTEN, did you mean WHARF_HTTP__LISTEN?"));
        check(&["WHARF_SHARD"], Some("did you mean WHARF_SHARDS?"));
        check(&["WHARF_COLOUR"], Some("WHARF_COLOUR is no setting and is ignored"));
    }
}
