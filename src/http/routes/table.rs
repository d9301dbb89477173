//! The route table: every route of both listeners, one row each.

/// Calls the macro `$define` with the rows.
///
/// A row is `METHOD "path" => Variant, what it needs, body of the request -> body of the answer, size of the answer,
/// handler`. The handler lists its arguments behind the request: ids of the path, or the body. Of two paths that match the
/// same request the upper row counts, so rows with a fixed segment precede rows with a parameter.
///
/// - `open`: anyone may call; `on` says which listener serves it.
/// - `caller`: about the caller's own files; the policy decides on the action. `also` is a second path without version.
/// - `operator`: about all accounts; the policy decides on the action.
macro_rules! route_table {
    ($define:ident) => {
        $define! {
            open {
                GET "/" on Both => Root, Nothing -> Json, Small, root::show(request);
                GET "/livez" on Both => Livez, Nothing -> Text, Small, health::livez();
                GET "/readyz" on Both => Readyz, Nothing -> Text, Small, health::readyz(request);
                GET "/metrics" on Admin => Metrics, Nothing -> Text, Large, health::metrics(request);
                GET "/errors" on Both => Errors, Nothing -> Json, Large, error_pages::list(request);
                GET "/errors/{code}" on Both => Error, Nothing -> Json, Small, error_pages::show(request, code);
                GET "/v1/schemas" on Api => Schemas, Nothing -> Json, Large, schemas::list();
                GET "/v1/schemas/{type}/{version}" on Api => Schema, Nothing -> JsonSchema, Large, schemas::show(schema);
            }
            caller {
                POST "/v1/files/presign-upload" also "/files/presign-upload"
                    => Presign, MoveBytes, Json -> Json, Small, uploads::presign(body);
                POST "/v1/files/presign-batch"
                    => PresignBatch, MoveBytes, Json -> Json, Large, uploads::presign_batch(body);
                POST "/v1/files" also "/files"
                    => Create, MoveBytes, Json -> Json, Small, uploads::create(body);
                GET "/v1/files" also "/files"
                    => List, ReadOwn, Nothing -> Json, Large, list::list();
                GET "/v1/files/{file_id}"
                    => Show, ReadOwn, Nothing -> Json, Small, files::show(file);
                PATCH "/v1/files/{file_id}"
                    => Update, ChangeOwn, MergePatch -> Json, Small, files::update(file, body);
                DELETE "/v1/files/{file_id}"
                    => Remove, DeleteOwn, Nothing -> Nothing, Small, files::remove(file);
                POST "/v1/files/{file_id}/restore"
                    => Restore, ChangeOwn, Nothing -> Json, Small, files::restore(file);
                POST "/v1/files/{file_id}/complete"
                    => Complete, MoveBytes, Nothing -> Json, Small, files::complete(file);
                GET "/v1/files/{file_id}/download-url" also "/files/{file_id}/download-url"
                    => SignDownload, MoveBytes, Nothing -> Json, Small, downloads::sign(file);
                GET "/v1/files/{file_id}/content"
                    => RedirectDownload, MoveBytes, Nothing -> Nothing, Small, downloads::redirect(file);
                PATCH "/v1/files/{file_id}/chunks/{chunk_id}"
                    => SignChunk, MoveBytes, Nothing -> Json, Small, chunks::sign(file, chunk);
                GET "/v1/files/{file_id}/chunks"
                    => ListChunks, ReadOwn, Nothing -> Json, Large, chunks::list(file);
                GET "/v1/files/{file_id}/timeline"
                    => Timeline, ReadOwn, Nothing -> Json, Small, history::timeline(file);
                GET "/v1/usage"
                    => Usage, ReadOwn, Nothing -> Json, Small, usage::show();
                GET "/v1/usage/ledger"
                    => Ledger, ReadOwn, Nothing -> Json, Large, history::ledger();
                GET "/v1/events"
                    => Events, ReadOwn, Nothing -> EventStream, Small, events::follow();
            }
            operator {
                GET "/v1/admin/usage"
                    => Totals, ReadAdmin, Nothing -> Json, Large, admin::totals();
                GET "/v1/admin/users"
                    => Find, ReadAdmin, Nothing -> Json, Large, admin::find();
                GET "/v1/admin/users/{user_id}"
                    => Show, ReadAdmin, Nothing -> Json, Large, admin::show(user);
                GET "/v1/admin/users/{user_id}/usage"
                    => Usage, ReadAdmin, Nothing -> Json, Large, admin::usage(user);
                PUT "/v1/admin/users/{user_id}/quota"
                    => SetQuota, ChangeAdmin, Json -> Json, Large, admin::set_quota(user, body);
                PUT "/v1/admin/users/{user_id}/state"
                    => SetState, ChangeAdmin, Json -> Json, Large, admin::set_state(user, body);
            }
        }
    };
}

pub(in crate::http) use route_table;
