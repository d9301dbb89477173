//! `wharfinger users show`: one user as the running service knows them, by the `sub` of their tokens or by id.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::admin_call::{self, AdminCall};
use super::failure::CommandFailure;
use super::output::{self, counted};
use super::settings::{self, SettingsArgs};
use super::target::PortArgs;
use super::who::{Who, WhoArgs};
use crate::domain::ids::UserId;

/// The exit code where there is no such account.
const NOT_FOUND: u8 = 4;

/// What to do about users.
#[derive(Debug, Subcommand)]
pub(super) enum UsersCommand {
    /// Show a user's id, usage, state and open uploads. Asks the running service
    Show(ShowArgs),
}

/// Flags of `users show`.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    who: WhoArgs,
    /// Print the service's answer in JSON
    #[arg(long)]
    json: bool,
    /// A file with a token of the role support or admin [default: one is signed with the key of an HS256 issuer]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    port: PortArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// An account in the service's answer.
#[derive(Debug, Deserialize)]
struct AccountBody {
    user_id: String,
    subject: Option<String>,
    state: String,
    used_bytes: u64,
    trashed_bytes: u64,
    reserved_bytes: u64,
    limit_bytes: u64,
    quota_bytes: Option<u64>,
    file_count: u64,
    open_uploads: Vec<OpenUploadBody>,
}

#[derive(Debug, Deserialize)]
struct OpenUploadBody {
    file_id: String,
    size_bytes: u64,
    release_at: String,
}

#[derive(Debug, Deserialize)]
struct FoundUser {
    issuer: String,
    user_id: String,
    account: Option<AccountBody>,
}

#[derive(Debug, Deserialize)]
struct FoundList {
    items: Vec<FoundUser>,
}

/// Does it.
pub(super) fn run(command: &UsersCommand) -> Result<(), CommandFailure> {
    let UsersCommand::Show(args) = command;
    let who = args.who.who()?.ok_or_else(|| CommandFailure::usage("--user or --sub is needed"))?;
    let loaded = settings::load(&args.settings, args.port.flags()?)?;
    let call = AdminCall::new(&loaded, args.token_file.as_deref())?;
    match who {
        Who::Id(id) => by_id(&call, id, args.json),
        Who::Subject(sub) => by_subject(&call, &sub, args),
    }
}

fn by_id(call: &AdminCall, id: UserId, is_json: bool) -> Result<(), CommandFailure> {
    let body = call.get(&format!("/v1/admin/users/{id}"))?;
    if is_json {
        return output::line(&body);
    }
    output::line(&described(&admin_call::parsed(&body)?))
}

fn by_subject(call: &AdminCall, sub: &str, args: &ShowArgs) -> Result<(), CommandFailure> {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let issuer = args.who.issuer.as_deref().map(|issuer| format!("&issuer={}", encoded(issuer)));
    let body = call.get(&format!("/v1/admin/users?sub={}{}", encoded(sub), issuer.unwrap_or_default()))?;
    let found: FoundList = admin_call::parsed(&body)?;
    if args.json {
        output::line(&body)?;
    } else {
        for item in &found.items {
            output::line(&format!("issuer       {}", item.issuer))?;
            output::line(&item.account.as_ref().map_or_else(|| without_account(item), described))?;
        }
    }
    if found.items.iter().any(|item| item.account.is_some()) {
        return Ok(());
    }
    Err(CommandFailure::other(format!("{sub:?} has no account yet: nothing was stored and no limit set"))
        .with_code(NOT_FOUND))
}

fn without_account(found: &FoundUser) -> String {
    format!("user_id      {}\naccount      none yet", found.user_id)
}

fn bytes(count: u64) -> String {
    counted(count, "byte", "bytes")
}

/// An account as lines of text.
fn described(account: &AccountBody) -> String {
    let limit = if account.quota_bytes.is_some() { "their own" } else { "the default" };
    let subject = account.subject.as_deref().unwrap_or("not known yet");
    let mut lines = vec![
        format!("user_id      {}", account.user_id),
        format!("subject      {subject:?}"),
        format!("state        {}", account.state),
        format!(
            "used         {} in {}",
            bytes(account.used_bytes),
            counted(account.file_count, "file", "files")
        ),
        format!("  in trash   {}", bytes(account.trashed_bytes)),
        format!("reserved     {}", bytes(account.reserved_bytes)),
        format!("limit        {}, {limit}", bytes(account.limit_bytes)),
        format!("open uploads {}", account.open_uploads.len()),
    ];
    lines.extend(account.open_uploads.iter().map(|open| {
        format!("  {}  {}, reserved until {}", open.file_id, bytes(open.size_bytes), open.release_at)
    }));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_described_line_by_line() {
        let account = AccountBody {
            user_id: "0199a3c4-0000-7000-8000-000000000001".to_owned(),
            subject: Some("alice".to_owned()),
            state: "active".to_owned(),
            used_bytes: 5,
            trashed_bytes: 1,
            reserved_bytes: 7,
            limit_bytes: 100,
            quota_bytes: None,
            file_count: 2,
            open_uploads: vec![OpenUploadBody {
                file_id: "0199a3c4-0000-7000-8000-000000000002".to_owned(),
                size_bytes: 7,
                release_at: "2026-11-20T10:29:02.161Z".to_owned(),
            }],
        };
        let expected = "user_id      0199a3c4-0000-7000-8000-000000000001\n\
                        subject      \"alice\"\n\
                        state        active\n\
                        used         5 bytes in 2 files\n  \
                        in trash   1 byte\n\
                        reserved     7 bytes\n\
                        limit        100 bytes, the default\n\
                        open uploads 1\n  \
                        0199a3c4-0000-7000-8000-000000000002  7 bytes, reserved until 2026-11-20T10:29:02.161Z";
        assert_eq!(described(&account), expected);
    }
}
