//! The flags that name a user: an id, or the `sub` of their tokens.

use clap::Args;

use super::dev_issuer;
use super::failure::CommandFailure;
use crate::config::Config;
use crate::domain::ids::{SubjectError, UserId};

/// A user, in one of two ways that every command takes.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct WhoArgs {
    /// The user: an id (a UUID, as keys, events and logs have it), or else the sub of their tokens
    #[arg(long, value_name = "USER", conflicts_with = "sub")]
    pub user: Option<String>,
    /// The sub of the user's tokens, also one that looks like an id
    #[arg(long, value_name = "SUBJECT")]
    pub sub: Option<String>,
    /// The issuer of these tokens, if there are several
    #[arg(long, value_name = "ISSUER")]
    pub issuer: Option<String>,
}

/// A user as the flags name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// By id.
    Id(UserId),
    /// By the `sub` of their tokens.
    Subject(String),
}

impl WhoArgs {
    /// The user that the flags name, if they name one.
    pub(super) fn who(&self) -> Result<Option<Who>, CommandFailure> {
        let who = match (&self.user, &self.sub) {
            (_, Some(sub)) => Some(Who::Subject(sub.clone())),
            (Some(user), None) => {
                Some(UserId::parse(user).map_or_else(|_| Who::Subject(user.clone()), Who::Id))
            }
            (None, None) => None,
        };
        match (&who, &self.issuer) {
            (Some(Who::Id(_)), Some(_)) => Err(CommandFailure::usage(
                "--issuer has no effect beside an id; if the UUID is a sub, name it by --sub",
            )),
            (None, Some(_)) => Err(CommandFailure::usage("--issuer needs --user or --sub")),
            (Some(_) | None, _) => Ok(who),
        }
    }

    /// The id of that user, computed with the issuers of these settings.
    pub(super) fn id(&self, config: &Config) -> Result<Option<UserId>, CommandFailure> {
        match self.who()? {
            None => Ok(None),
            Some(Who::Id(id)) => Ok(Some(id)),
            Some(Who::Subject(sub)) => self.computed(config, &sub).map(Some),
        }
    }

    fn computed(&self, config: &Config, sub: &str) -> Result<UserId, CommandFailure> {
        let issuers = &config.auth.issuers;
        let names: Vec<_> = if issuers.is_empty() {
            vec![dev_issuer::ISSUER]
        } else {
            issuers.iter().map(|issuer| issuer.issuer.as_str()).collect()
        };
        let name = match (&self.issuer, names.as_slice()) {
            (Some(asked), _) if names.contains(&asked.as_str()) => asked,
            (Some(asked), _) => {
                return Err(CommandFailure::usage(format!(
                    "--issuer {asked:?}: there is no such issuer; there are: {}",
                    names.join(", ")
                )));
            }
            (None, [only]) => *only,
            (None, _) => {
                return Err(CommandFailure::usage(format!(
                    "{sub:?} can be a user of several issuers; name one by --issuer: {}",
                    names.join(", ")
                )));
            }
        };
        let found = issuers.iter().find(|issuer| issuer.issuer == name);
        let id = found.map_or_else(|| UserId::from_subject(name, sub), |issuer| issuer.user_of(sub));
        id.map_err(|SubjectError| CommandFailure::usage("a sub is 1 to 255 bytes without control characters"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::IssuerSettings;

    const ID: &str = "0199a3c4-0000-7000-8000-000000000001";

    fn config(issuers: &[&str]) -> Config {
        let issuer = |name: &&str| -> IssuerSettings {
            let text =
                format!("issuer = {name:?}\naudience = \"a\"\nalgorithm = \"HS256\"\nkey_file = \"k\"");
            toml::from_str(&text).unwrap()
        };
        let mut config = Config::default();
        config.auth.issuers = issuers.iter().map(issuer).collect();
        config
    }

    fn check(issuers: &[&str], flags: [&str; 3], expected: Result<Option<UserId>, &str>) {
        let [user, sub, issuer] = flags.map(|flag| (!flag.is_empty()).then(|| flag.to_owned()));
        let found = WhoArgs { user, sub, issuer }.id(&config(issuers));
        match (found, expected) {
            (Err(failure), Err(text)) => {
                assert!(
                    format!("{failure:?}").contains(text),
                    "{flags:?}: {failure:?} does not say {text:?}"
                );
            }
            (found, expected) => assert_eq!(found, expected.map_err(CommandFailure::usage), "{flags:?}"),
        }
    }

    #[test]
    fn a_user_is_an_id_or_else_a_sub() {
        let named = |issuer: &str, sub: &str| Ok(Some(UserId::from_subject(issuer, sub).unwrap()));
        check(&[], ["", "", ""], Ok(None));
        let lists: [&[&str]; 3] = [&[], &["one"], &["one", "two"]];
        for issuers in lists {
            check(issuers, [ID, "", ""], Ok(Some(UserId::parse(ID).unwrap())));
        }
        check(&[], ["ann", "", ""], named(dev_issuer::ISSUER, "ann"));
        check(&[], ["", "ann", dev_issuer::ISSUER], named(dev_issuer::ISSUER, "ann"));
        check(&["one"], ["ann", "", ""], named("one", "ann"));
        check(&["one"], ["", ID, ""], named("one", ID));
        check(&["one", "two"], ["ann", "", "two"], named("two", "ann"));
    }

    #[test]
    fn what_is_not_clear_is_refused_with_the_choices() {
        check(&["one", "two"], ["ann", "", ""], Err("name one by --issuer: one, two"));
        check(&["one", "two"], ["ann", "", "three"], Err("there are: one, two"));
        check(&[], ["ann", "", "one"], Err("there are: wharfinger-dev"));
        check(&["one"], [ID, "", "one"], Err("--issuer has no effect beside an id"));
        check(&["one"], ["", "", "one"], Err("--issuer needs --user or --sub"));
        check(&["one"], ["", "a\nb", ""], Err("without control characters"));
    }
}
