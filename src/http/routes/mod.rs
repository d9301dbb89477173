//! The routes: one table, and what is generated from it.
//!
//! Start with `table`: a row is a route. A new route is one row there and one handler in `resources`; matching, `Allow`,
//! the dispatch, and the names in metrics and logs follow from the row.

mod table;
mod path;
mod row;
mod resolve;

pub(super) use path::{ChunkRef, Ids, Listener, SchemaRef};
pub(super) use resolve::{Endpoint, PathMatch, Template, find, resolve};
pub(super) use row::{Admin, AnswerSize, Open, Own, Route, Row};
pub(super) use table::route_table;
