//! From a row of the route table to its handler: who calls, whether they may, then the work.

use super::auth::{Presented, Verified, check_same_site, presented};
use super::error::{ErrorCode, Problem};
use super::request::{AuthorizedRequest, IncomingRequest};
use super::resources::{
    admin, chunks, downloads, error_pages, events, files, health, history, list, root, schemas, uploads,
    usage,
};
use super::routes::{Admin, Ids, Open, Own, Route, Row, route_table};
use super::wire::answers::HandlerResult;
use super::wire::body::Incoming;
use super::wire::media;
use crate::domain::account::AccountState;
use crate::domain::policy::{self, Action};

/// Runs the handler of a row.
pub(super) async fn run(
    request: IncomingRequest<'_>,
    (row, ids): (&'static Row, Ids),
    body: &mut Incoming,
) -> HandlerResult {
    match row.route {
        Route::Open(open) => run_open(request, open, ids),
        Route::Own(own, action) => {
            // The work of a request is large, and would have room in every connection if it were not boxed.
            Box::pin(run_own(admit(request, row, action)?, own, ids, body)).await
        }
        Route::Admin(admin, action) => {
            // Requests of operators are rare and large; every request would have room for them.
            Box::pin(run_admin(admit(request, row, action)?, admin, ids, body)).await
        }
    }
}

/// Checks who calls, whether they may, and whether both sides use the same content types.
fn admit<'a>(
    request: IncomingRequest<'a>,
    row: &Row,
    action: Action,
) -> Result<AuthorizedRequest<'a>, Problem> {
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
    // Callers own what their routes reach, and on the routes of operators only the role counts. Whether the account is
    // suspended is checked where the account is read anyway.
    policy::decide(&caller, action, caller.user, AccountState::Active)?;
    if let Some(produced) = row.produces.produced() {
        media::check_accept(&head.headers, produced)?;
    }
    let consumed = row.consumes.consumed();
    if !consumed.is_empty() {
        media::check_content_type(&head.headers, consumed)?;
    }
    Ok(AuthorizedRequest { api, head, context, caller, until, now })
}

/// The argument of a handler that a row names.
macro_rules! argument {
    (request, $request:ident, $ids:ident) => {
        $request
    };
    (code, $request:ident, $ids:ident) => {
        $ids.code
    };
    (schema, $request:ident, $ids:ident) => {
        $ids.schema
    };
    (chunk, $body:ident, $ids:ident) => {
        $ids.chunk
    };
    (file, $body:ident, $ids:ident) => {
        $ids.file.ok_or_else(Problem::no_such_file)?
    };
    (user, $body:ident, $ids:ident) => {
        $ids.user.ok_or_else(|| Problem::new(ErrorCode::UserNotFound))?
    };
    (body, $body:ident, $ids:ident) => {
        $body
    };
}

macro_rules! define_dispatch {
    (
        open { $(
            $open_method:ident $open_path:literal on $listeners:ident
            => $open:ident, $open_consumes:ident -> $open_produces:ident, $open_size:ident,
            $open_module:ident :: $open_handler:ident ($($open_argument:ident),*);
        )* }
        caller { $(
            $own_method:ident $own_path:literal $(also $alias:literal)?
            => $own:ident, $own_action:ident, $own_consumes:ident -> $own_produces:ident, $own_size:ident,
            $own_module:ident :: $own_handler:ident ($($own_argument:ident),*);
        )* }
        operator { $(
            $admin_method:ident $admin_path:literal
            => $admin:ident, $admin_action:ident, $admin_consumes:ident -> $admin_produces:ident, $admin_size:ident,
            $admin_module:ident :: $admin_handler:ident ($($admin_argument:ident),*);
        )* }
    ) => {
        fn run_open(request: IncomingRequest<'_>, open: Open, ids: Ids) -> HandlerResult {
            match open {
                $(Open::$open => $open_module::$open_handler($(argument!($open_argument, request, ids)),*),)*
            }
        }

        async fn run_own(
            request: AuthorizedRequest<'_>,
            own: Own,
            ids: Ids,
            body: &mut Incoming,
        ) -> HandlerResult {
            match own {
                $(Own::$own => {
                    $own_module::$own_handler(&request $(, argument!($own_argument, body, ids))*).await
                })*
            }
        }

        async fn run_admin(
            request: AuthorizedRequest<'_>,
            admin: Admin,
            ids: Ids,
            body: &mut Incoming,
        ) -> HandlerResult {
            match admin {
                $(Admin::$admin => {
                    $admin_module::$admin_handler(&request $(, argument!($admin_argument, body, ids))*).await
                })*
            }
        }
    };
}

route_table!(define_dispatch);
