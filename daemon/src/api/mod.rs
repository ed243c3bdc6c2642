//! The HTTP API: translation between requests and the registry, nothing more.
//!
//! Every route is documented where its handler is, and the OpenAPI document is made of that.

mod build;
mod document;
mod events;
mod exec;
mod extract;
mod files;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod leftovers;
mod logs;
mod meta;
mod projects;
mod runs;
mod serve;
mod services;

use crate::clock;
use crate::engine::any::AnyEngine;
use crate::engine::counted::Counted;
use crate::registry::Registry;
use crate::system::program::Program;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::HeaderValue;
use axum::response::Response;
use devd_proto::{Code, Problem};
use extract::{Failure, MAX_REQUEST};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use serve::serve;

/// What handlers work with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    /// The projects.
    pub registry: Registry<Counted<AnyEngine>>,
    /// When the daemon started.
    pub started: Instant,
    /// The same on the calendar.
    pub started_at: Arc<str>,
    /// Where state is kept.
    pub state_dir: Arc<PathBuf>,
    /// The program that runs, where that can be told.
    pub program: Option<Arc<Program>>,
    /// Ends streams that would never end by themselves.
    pub shutdown: CancellationToken,
}

impl App {
    /// Handlers of a daemon that starts now.
    pub fn new(
        registry: Registry<Counted<AnyEngine>>,
        state_dir: PathBuf,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            registry,
            started: Instant::now(),
            started_at: clock::now_text().into(),
            state_dir: Arc::new(state_dir),
            program: Program::of_process().ok().map(Arc::new),
            shutdown,
        }
    }
}

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "devd",
    description = "The daemon of devd, on a unix socket. Times are RFC 3339 in UTC, durations milliseconds, ids opaque. \
                   Errors are RFC 9457 problem documents with a stable `code`."
))]
struct Document;

/// All routes.
pub fn router(app: App) -> Router {
    let (router, document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(meta::version))
        .routes(routes!(meta::status))
        .routes(routes!(meta::doctor))
        .routes(routes!(meta::metrics))
        .routes(routes!(leftovers::list, leftovers::clean))
        .routes(routes!(projects::register))
        .routes(routes!(projects::show, projects::remove))
        .routes(routes!(projects::resolve))
        .routes(routes!(projects::config))
        .routes(routes!(services::start))
        .routes(routes!(services::stop))
        .routes(routes!(services::restart))
        .routes(routes!(services::rebuild))
        .routes(routes!(logs::service))
        .routes(routes!(exec::exec))
        .routes(routes!(build::build))
        .routes(routes!(files::saved))
        .routes(routes!(files::why))
        .routes(routes!(runs::start, runs::list))
        .routes(routes!(runs::show, runs::cancel))
        .routes(routes!(runs::log))
        .routes(routes!(events::stream))
        .split_for_parts();
    let document = document::text(&document);
    let openapi = axum::routing::get(move || async move {
        ([(axum::http::header::CONTENT_TYPE, "application/json")], document)
    });
    router
        .route("/v1/openapi.json", openapi)
        .fallback(|| async {
            Failure(Problem::new(Code::NotFound, "no such route").help("see /v1/openapi.json"))
        })
        .method_not_allowed_fallback(|| async {
            let problem = Problem::new(Code::MethodNotAllowed, "the route has no such method");
            Failure(problem.help("the header Allow lists those that it has; see /v1/openapi.json"))
        })
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .layer(axum::middleware::map_response(async |mut response: Response| {
            let version = HeaderValue::from_static(env!("CARGO_PKG_VERSION"));
            response.headers_mut().insert(devd_proto::VERSION_HEADER, version);
            response
        }))
        .with_state(app)
}
