//! A row of the route table as a value.

use super::path::{Listeners, PathPattern};
use super::table::route_table;
use crate::domain::policy::Action;
use crate::limits;

/// A route. Its OpenAPI operation will be one more field.
#[derive(Debug)]
pub(in crate::http) struct Row {
    /// The method; a HEAD is served as its GET.
    pub(super) method: &'static str,
    /// The path.
    pub(super) path: PathPattern,
    /// A second path, without the version.
    pub(super) alias: Option<PathPattern>,
    /// The listeners that serve it.
    pub(super) listeners: Listeners,
    /// The handler, and the action that the policy decides on.
    pub(in crate::http) route: Route,
    /// The body of a request.
    pub(in crate::http) consumes: BodyType,
    /// The body of an answer.
    pub(in crate::http) produces: BodyType,
    /// The size of an answer.
    pub(in crate::http) size: AnswerSize,
}

/// A route by its audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Route {
    /// Anyone may call.
    Open(Open),
    /// About the caller's own files.
    Own(Own, Action),
    /// About all accounts.
    Admin(Admin, Action),
}

/// The type of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum BodyType {
    /// No body.
    Nothing,
    /// `application/json`.
    Json,
    /// A merge patch (RFC 7396), or plain JSON.
    MergePatch,
    /// A JSON Schema.
    JsonSchema,
    /// Server-sent events.
    EventStream,
    /// Plain text.
    Text,
}

impl BodyType {
    /// The content types that a request may declare; empty: it has no body.
    pub(in crate::http) const fn consumed(self) -> &'static [&'static str] {
        match self {
            Self::Nothing => &[],
            Self::Json => &["application/json"],
            Self::MergePatch => &["application/merge-patch+json", "application/json"],
            Self::JsonSchema => &["application/schema+json"],
            Self::EventStream => &["text/event-stream"],
            Self::Text => &["text/plain"],
        }
    }

    /// The content type of an answer; none: it has no body.
    pub(in crate::http) fn produced(self) -> Option<&'static str> {
        self.consumed().first().copied()
    }
}

/// The size of an answer before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum AnswerSize {
    /// One thing, or a stream, which keeps little in memory.
    Small,
    /// A list.
    Large,
}

impl AnswerSize {
    /// Returns the bytes to reserve.
    pub(in crate::http) const fn bytes_about(self) -> usize {
        match self {
            Self::Small => limits::ANSWER_BYTES_ABOUT,
            Self::Large => limits::LIST_BYTES_ABOUT,
        }
    }
}

macro_rules! define_rows {
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
        /// A route that anyone may call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::http) enum Open { $(
            #[doc = concat!("`", stringify!($open_method), " ", $open_path, "`")]
            $open,
        )* }

        /// A route about the caller's own files.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::http) enum Own { $(
            #[doc = concat!("`", stringify!($own_method), " ", $own_path, "`")]
            $own,
        )* }

        /// A route about all accounts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::http) enum Admin { $(
            #[doc = concat!("`", stringify!($admin_method), " ", $admin_path, "`")]
            $admin,
        )* }

        /// The rows of the table, in its order.
        pub(super) static ROWS: &[Row] = &[
            $(Row {
                method: stringify!($open_method),
                path: PathPattern::parse($open_path),
                alias: None,
                listeners: Listeners::$listeners,
                route: Route::Open(Open::$open),
                consumes: BodyType::$open_consumes,
                produces: BodyType::$open_produces,
                size: AnswerSize::$open_size,
            },)*
            $(Row {
                method: stringify!($own_method),
                path: PathPattern::parse($own_path),
                alias: alias!($($alias)?),
                listeners: Listeners::Api,
                route: Route::Own(Own::$own, Action::$own_action),
                consumes: BodyType::$own_consumes,
                produces: BodyType::$own_produces,
                size: AnswerSize::$own_size,
            },)*
            $(Row {
                method: stringify!($admin_method),
                path: PathPattern::parse($admin_path),
                alias: None,
                listeners: Listeners::Api,
                route: Route::Admin(Admin::$admin, Action::$admin_action),
                consumes: BodyType::$admin_consumes,
                produces: BodyType::$admin_produces,
                size: AnswerSize::$admin_size,
            },)*
        ];
    };
}

macro_rules! alias {
    () => {
        None
    };
    ($path:literal) => {
        Some(PathPattern::parse($path))
    };
}

route_table!(define_rows);
