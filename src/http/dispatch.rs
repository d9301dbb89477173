//! From a route to its resource: who calls, whether they may, then the work.

use hyper::StatusCode;
use hyper::header::{ALLOW, HeaderValue};

use super::auth::{Presented, Verified, check_same_site, presented};
use super::error::{ErrorCode, Problem};
use super::request::{AuthorizedRequest, IncomingRequest};
use super::resources::admin::{self, Admin, UserRef};
use super::resources::{
    chunks, downloads, error_pages, events, files, health, history, list, root, schemas, uploads, usage,
};
use super::route::{Open, Own, Route};
use super::wire::answers::{self, HandlerResult};
use super::wire::body::Incoming;
use super::wire::media;
use crate::domain::account::AccountState;
use crate::domain::policy::{self, Action};

/// What a route asks of a request before it is carried out.
struct Terms {
    action: Action,
    /// None: its answer has no body.
    produces: Option<&'static str>,
    /// Empty: it has no body.
    consumes: &'static [&'static str],
}

/// Carries a request out.
pub(super) async fn run(request: IncomingRequest<'_>, route: Route, body: &mut Incoming) -> HandlerResult {
    match route {
        Route::Open(Open::Root) => Ok(root::show(request.listener)),
        Route::Open(Open::Livez) => Ok(health::livez()),
        Route::Open(Open::Readyz) => Ok(health::readyz(request)),
        Route::Open(Open::Metrics) => Ok(health::metrics(request.api)),
        Route::Open(Open::Schemas) => Ok(schemas::list()),
        Route::Open(Open::Schema(schema)) => schemas::show(schema),
        Route::Open(Open::Errors) => error_pages::list(request),
        Route::Open(Open::Error(code)) => error_pages::show(request, code),
        Route::Open(Open::Options(allow)) => {
            Ok(answers::empty(StatusCode::NO_CONTENT, [(ALLOW, HeaderValue::from_static(allow))]))
        }
        Route::Own(own) => {
            let terms = Terms { action: own.action(), produces: own.produces(), consumes: own.consumes() };
            // The work of a request is large, and would have room in every connection if it were not boxed.
            Box::pin(run_own(admit(request, terms)?, own, body)).await
        }
        Route::Admin(asked) => {
            let (action, consumes) = (asked.action(), asked.consumes());
            let terms = Terms { action, produces: Some("application/json"), consumes };
            // What operators ask is rare and large; every request would have room for it.
            Box::pin(run_admin(admit(request, terms)?, asked, body)).await
        }
    }
}

/// Who calls, whether they may, and whether we speak the same types.
fn admit<'a>(request: IncomingRequest<'a>, terms: Terms) -> Result<AuthorizedRequest<'a>, Problem> {
    let IncomingRequest { api, head, context, .. } = request;
    let services = &api.services;
    let now = services.clock.now();
    let presented = presented(&head.headers)?;
    let Verified { caller, until } = services.authenticator.caller_of(presented.token(), now)?;
    context.note_user(caller.user);
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
    Ok(AuthorizedRequest { api, head, context, caller, until, now })
}

async fn run_own(request: AuthorizedRequest<'_>, own: Own, body: &mut Incoming) -> HandlerResult {
    let named = |file: Option<_>| file.ok_or_else(Problem::no_such_file);
    match own {
        Own::Presign => uploads::presign(&request, body).await,
        Own::Create => uploads::create(&request, body).await,
        Own::PresignBatch => uploads::presign_batch(&request, body).await,
        Own::List => list::list(&request).await,
        Own::Show(file) => files::show(&request, named(file)?).await,
        Own::Update(file) => files::update(&request, named(file)?, body).await,
        Own::Remove(file) => files::remove(&request, named(file)?).await,
        Own::Restore(file) => files::restore(&request, named(file)?).await,
        Own::Complete(file) => files::complete(&request, named(file)?).await,
        Own::SignDownload(file) => downloads::sign(&request, named(file)?).await,
        Own::GoDownload(file) => downloads::redirect(&request, named(file)?).await,
        Own::SignChunk(file, chunk) => chunks::sign(&request, named(file)?, chunk).await,
        Own::ListChunks(file) => chunks::list(&request, named(file)?).await,
        Own::Timeline(file) => history::timeline(&request, named(file)?).await,
        Own::Ledger => history::ledger(&request).await,
        Own::Usage => usage::show(&request).await,
        Own::Events => events::follow(&request).await,
    }
}

async fn run_admin(request: AuthorizedRequest<'_>, asked: Admin, body: &mut Incoming) -> HandlerResult {
    let named = |user: UserRef| user.ok_or_else(|| Problem::new(ErrorCode::UserNotFound));
    match asked {
        Admin::Totals => admin::totals(&request).await,
        Admin::Find => admin::find(&request).await,
        Admin::Show(user) => admin::show(&request, named(user)?).await,
        Admin::Usage(user) => admin::usage(&request, named(user)?).await,
        Admin::SetQuota(user) => admin::set_quota(&request, named(user)?, body).await,
        Admin::SetState(user) => admin::set_state(&request, named(user)?, body).await,
    }
}
