//! What `wharfinger dev` prints: where everything is, and commands that store a file and read it back.

use std::time::Duration;

/// How long the printed tokens count.
pub(super) const TOKEN_TTL: Duration = Duration::from_secs(24 * 3600);

/// Where a running `dev` is, and who may call.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct Whereabouts {
    /// The API, without a slash at the end.
    pub api_url: String,
    /// Metrics and health.
    pub admin_url: String,
    /// The embedded S3 endpoint, if there is one.
    pub s3_url: Option<String>,
    /// A user's token.
    pub token: String,
    /// An admin's token.
    pub admin_token: String,
    /// Where the data is.
    pub data_dir: String,
}

/// Commands for sh with curl (7.76 or newer) and sed alone; no comments in between, because an interactive zsh runs them.
/// They stop at the first refusal and show it.
const COMMANDS: &str = r#"API=@API@
TOKEN=@TOKEN@
AUTH="Authorization: Bearer $TOKEN"
printf 'hello, wharf\n' > hello.txt

if SIGNED=$(curl --fail-with-body -gsS "$API/v1/files/presign-upload" -H "$AUTH" -H 'Content-Type: application/json' \
  -d '{"filename": "hello.txt", "size_bytes": 13, "content_type": "text/plain"}'); then
  FILE=$API/v1/files/$(printf '%s\n' "$SIGNED" | sed 's/.*"file_id": *"\([^"]*\)".*/\1/')
  UPLOAD_URL=$(printf '%s\n' "$SIGNED" | sed 's/.*"upload_url": *"\([^"]*\)".*/\1/')

  printf '%s\n' "$SIGNED" | sed -e 's/.*"headers": *{ *"//' -e 's/" *}.*//' -e 's/": *"/: /g' -e 's/", *"/\
/g' | curl --fail-with-body -gsS -T hello.txt -H @- "$UPLOAD_URL" &&
  curl --fail-with-body -gsS -X POST "$FILE/complete" -H "$AUTH" -w '\n' &&
  if LINK=$(curl --fail-with-body -gsS "$FILE/download-url" -H "$AUTH"); then
    curl --fail-with-body -gsS "$(printf '%s\n' "$LINK" | sed 's/.*"download_url": *"\([^"]*\)".*/\1/')"
  else
    printf '%s\n' "$LINK"
  fi
else
  printf '%s\n' "$SIGNED"
fi
"#;

/// The commands, to be pasted as they are.
pub(super) fn commands(at: &Whereabouts) -> String {
    COMMANDS.replace("@API@", &at.api_url).replace("@TOKEN@", &at.token)
}

/// The page for people.
pub(super) fn page(at: &Whereabouts) -> String {
    let Whereabouts { api_url, admin_url, s3_url, admin_token, data_dir, .. } = at;
    let s3 = s3_url.as_deref().unwrap_or("not here");
    let hours = TOKEN_TTL.as_secs() / 3600;
    let commands = commands(at);
    format!(
        "Wharfinger is ready. Ctrl-C stops it; the data stays.\n\n  \
         API      {api_url}\n  \
         S3       {s3}\n  \
         metrics  {admin_url}/metrics\n  \
         data     {data_dir}\n\n\
         Paste this into another shell. It reserves 13 bytes, sends them straight to the bucket with a signed\n\
         request, and reads them back through a signed link:\n\n\
         {commands}\n\
         Both tokens count for {hours} hours. An admin's is this:\n\n\
         ADMIN_TOKEN={admin_token}\n"
    )
}
