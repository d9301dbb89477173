//! From a route to its resource: who calls, whether they may, then the work.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{ALLOW, HeaderValue};
use hyper::http::request::Parts;

use super::auth::{Presented, Verified, check_same_site, presented};
use super::error::{ErrorCode, Problem};
use super::resources::admin::{self, Admin, UserRef};
use super::resources::{
    chunks, downloads, error_pages, events, files, health, history, list, root, schemas, uploads, usage,
};
use super::route::{Open, Own, Route};
use super::services::{Api, Door};
use super::wire::answers::{self, Outcome};
use super::wire::body::Incoming;
use super::wire::context::Trail;
use super::wire::media;
use crate::domain::account::AccountState;
use crate::domain::ids::UserId;
use crate::domain::policy::{self, Action, Caller};
use crate::domain::time::Timestamp;

/// A request on its way to its resource.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) api: &'a Api,
    pub(super) door: Door,
    pub(super) head: &'a Parts,
    pub(super) trail: &'a Trail,
}

/// A request whose caller is known and may.
pub(super) struct OwnCall<'a> {
    pub(super) api: &'a Api,
    pub(super) head: &'a Parts,
    pub(super) trail: &'a Trail,
    pub(super) caller: Arc<Caller>,
    /// The caller's token counts before this.
    pub(super) until: Timestamp,
    pub(super) now: Timestamp,
}

impl OwnCall<'_> {
    /// Whose files they are.
    pub(super) fn user(&self) -> UserId {
        self.caller.user
    }
}

/// What a route asks of a request before it is carried out.
struct Terms {
    action: Action,
    /// None: its answer has no body.
    produces: Option<&'static str>,
    /// Empty: it has no body.
    consumes: &'static [&'static str],
}

/// Carries a request out.
pub(super) async fn run(call: Call<'_>, route: Route, body: &mut Incoming) -> Outcome {
    match route {
        Route::Open(Open::Root) => Ok(root::show(call.door)),
        Route::Open(Open::Livez) => Ok(health::livez()),
        Route::Open(Open::Readyz) => Ok(health::readyz(call)),
        Route::Open(Open::Metrics) => Ok(health::metrics(call.api)),
        Route::Open(Open::Schemas) => Ok(schemas::list()),
        Route::Open(Open::Schema(schema)) => schemas::show(schema),
        Route::Open(Open::Errors) => error_pages::list(call),
        Route::Open(Open::Error(code)) => error_pages::show(call, code),
        Route::Open(Open::Options(allow)) => {
            Ok(answers::empty(StatusCode::NO_CONTENT, [(ALLOW, HeaderValue::from_static(allow))]))
        }
        Route::Own(own) => {
            let terms = Terms { action: own.action(), produces: own.produces(), consumes: own.consumes() };
            // The work of a request is large, and would have room in every connection if it were not boxed.
            Box::pin(run_own(admit(call, terms)?, own, body)).await
        }
        Route::Admin(asked) => {
            let (action, consumes) = (asked.action(), asked.consumes());
            let terms = Terms { action, produces: Some("application/json"), consumes };
            // What operators ask is rare and large; every request would have room for it.
            Box::pin(run_admin(admit(call, terms)?, asked, body)).await
        }
    }
}

/// Who calls, whether they may, and whether we speak the same types.
fn admit<'a>(call: Call<'a>, terms: Terms) -> Result<OwnCall<'a>, Problem> {
    let Call { api, head, trail, .. } = call;
    let services = &api.services;
    let now = services.clock.now();
    let presented = presented(&head.headers)?;
    let Verified { caller, until } = services.authenticator.caller_of(presented.token(), now)?;
    trail.note_user(caller.user);
    match presented {
        Presented::Bearer(_) => {}
        Presented::Cookie(_) => {
            check_same_site(head, &services.options.public_url, &services.options.allowed_origins)?;
        }
    }
    // Everybody owns what their routes reach, and on those of operators only the role counts. Whether the account is
    // suspended is asked where it is read anyway.
    policy::decide(&caller, terms.action, caller.user, AccountState::Active)?;
    if let Some(produced) = terms.produces {
        media::check_accept(&head.headers, produced)?;
    }
    if !terms.consumes.is_empty() {
        media::check_content_type(&head.headers, terms.consumes)?;
    }
    Ok(OwnCall { api, head, trail, caller, until, now })
}

async fn run_own(call: OwnCall<'_>, own: Own, body: &mut Incoming) -> Outcome {
    let named = |file: Option<_>| file.ok_or_else(Problem::no_such_file);
    match own {
        Own::Presign => uploads::presign(&call, body).await,
        Own::Create => uploads::create(&call, body).await,
        Own::PresignBatch => uploads::presign_batch(&call, body).await,
        Own::List => list::list(&call).await,
        Own::Show(file) => files::show(&call, named(file)?).await,
        Own::Update(file) => files::update(&call, named(file)?, body).await,
        Own::Remove(file) => files::remove(&call, named(file)?).await,
        Own::Restore(file) => files::restore(&call, named(file)?).await,
        Own::Complete(file) => files::complete(&call, named(file)?).await,
        Own::SignDownload(file) => downloads::sign(&call, named(file)?).await,
        Own::GoDownload(file) => downloads::redirect(&call, named(file)?).await,
        Own::SignChunk(file, chunk) => chunks::sign(&call, named(file)?, chunk).await,
        Own::ListChunks(file) => chunks::list(&call, named(file)?).await,
        Own::Timeline(file) => history::timeline(&call, named(file)?).await,
        Own::Ledger => history::ledger(&call).await,
        Own::Usage => usage::show(&call).await,
        Own::Events => events::follow(&call).await,
    }
}

async fn run_admin(call: OwnCall<'_>, asked: Admin, body: &mut Incoming) -> Outcome {
    let named = |user: UserRef| user.ok_or_else(|| Problem::new(ErrorCode::UserNotFound));
    match asked {
        Admin::Totals => admin::totals(&call).await,
        Admin::Find => admin::find(&call).await,
        Admin::Show(user) => admin::show(&call, named(user)?).await,
        Admin::Usage(user) => admin::usage(&call, named(user)?).await,
        Admin::SetQuota(user) => admin::set_quota(&call, named(user)?, body).await,
        Admin::SetState(user) => admin::set_state(&call, named(user)?, body).await,
    }
}
