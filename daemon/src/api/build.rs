//! Production images: the Dockerfile with its defaults, no mounts, no development mode.

use super::App;
use super::extract::{Body, Failure};
use super::files::absolute;
use crate::engine::spec::{Act, BuildSpec};
use crate::engine::{Engine, EngineError, Progress};
use crate::{problem, registry};
use axum::body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use devd_proto::{BuildLine, BuildRequest, Code, Problem, ServiceName};
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Builds production images, one after the other; NDJSON of `BuildLine`.
#[utoipa::path(post, path = "/v1/build", tag = "projects", request_body = BuildRequest,
    responses((status = 200, content_type = "application/x-ndjson", body = BuildLine), (status = 422, body = Problem)))]
pub(super) async fn build(
    State(app): State<App>,
    Body(request): Body<BuildRequest>,
) -> Result<Response, Failure> {
    absolute(&request.source.dir)?;
    let blueprint = registry::load(request.source.clone()).await?;
    let all = || blueprint.project.services.values().filter(|service| service.build.is_some());
    let chosen: Vec<ServiceName> = if request.services.is_empty() {
        all().map(|service| ServiceName::new(service.name.clone())).collect()
    } else {
        request.services.clone()
    };
    let mut specs = Vec::new();
    for service in chosen {
        if blueprint.service(&service).is_none() {
            let known = blueprint.project.services.keys().map(String::as_str);
            return Err(problem::unknown_service(&blueprint.name, &service, known).into());
        }
        let Some(mut spec) = blueprint.stack().build(service.as_str()) else {
            return Err(Problem::new(Code::NoBuild, format!("{service} has no `build`")).into());
        };
        if request.platform.is_some() {
            spec.platform.clone_from(&request.platform);
        }
        specs.push((service, spec));
    }
    if specs.is_empty() {
        return Err(Problem::new(Code::NoBuild, "no service has a `build`").into());
    }
    if let Some(tag) = &request.tag {
        let [(_, spec)] = &mut specs[..] else {
            let help = "name one service, or leave --tag out";
            return Err(Problem::new(Code::BadRequest, "one tag for several images").help(help).into());
        };
        spec.tag.clone_from(tag);
    }
    let (sender, receiver) = mpsc::channel(256);
    let engine = app.registry.surroundings().engine.clone();
    tokio::spawn(images(engine, specs, request.push, sender, app.shutdown));
    let lines = tokio_stream::wrappers::ReceiverStream::new(receiver).map(|line| {
        let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
        bytes.push(b'\n');
        Ok::<_, std::convert::Infallible>(bytes)
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body::Body::from_stream(lines)).into_response())
}

/// Builds images until one fails. When the daemon goes down the build ends as well, and says so.
async fn images<E: Engine>(
    engine: E,
    specs: Vec<(ServiceName, BuildSpec)>,
    push: bool,
    sender: mpsc::Sender<BuildLine>,
    shutdown: CancellationToken,
) {
    for (service, spec) in specs {
        let image = spec.tag.clone();
        let built = tokio::select! {
            biased;
            () = shutdown.cancelled() => Err(Problem::new(Code::ShuttingDown, "devd goes down, and its builds end")),
            built = one(&engine, &service, spec, push, &sender) => {
                built.map_err(|error| problem::engine_error(&error))
            }
        };
        let line = match built {
            Ok(id) => BuildLine::Built { service, image, id },
            Err(problem) => BuildLine::Failed { service, problem },
        };
        let failed = matches!(line, BuildLine::Failed { .. });
        // A client that went away ends the work after the image under way.
        if sender.send(line).await.is_err() || failed {
            return;
        }
    }
}

/// Builds one image, and pushes it if asked to; its id.
async fn one<E: Engine>(
    engine: &E,
    service: &ServiceName,
    spec: BuildSpec,
    push: bool,
    sender: &mpsc::Sender<BuildLine>,
) -> Result<String, EngineError> {
    let image = spec.tag.clone();
    let id = apply(engine, service, Act::Build(Box::new(spec)), sender).await?;
    if push {
        apply(engine, service, Act::Push { image }, sender).await?;
    }
    Ok(id)
}

async fn apply<E: Engine>(
    engine: &E,
    service: &ServiceName,
    act: Act,
    sender: &mpsc::Sender<BuildLine>,
) -> Result<String, EngineError> {
    let (lines, mut output) = mpsc::channel(1024);
    let pass_on = async {
        while let Some(text) = output.recv().await {
            // As above: whoever reads may have gone.
            let _ = sender.send(BuildLine::Output { service: service.clone(), text }).await;
        }
    };
    let work = async {
        let progress = Progress::to(lines);
        engine.apply(&act, &progress).await
    };
    let (applied, ()) = tokio::join!(work, pass_on);
    Ok(applied?.id.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fake::Fake;
    use devd_compose::model::Build;
    use std::collections::BTreeMap;

    async fn build(shutdown: CancellationToken) -> (Vec<BuildLine>, Vec<String>) {
        let (engine, (sender, mut receiver)) = (Fake::default(), mpsc::channel(16));
        let (build, labels) = (Build::default(), BTreeMap::new());
        let spec = BuildSpec { tag: "shop-api".to_owned(), build, labels, platform: None };
        let specs = vec![(ServiceName::from("api"), spec)];
        images(engine.clone(), specs, true, sender, shutdown).await;
        let mut lines = Vec::new();
        while let Some(line) = receiver.recv().await {
            lines.push(line);
        }
        (lines, engine.journal())
    }

    #[tokio::test(start_paused = true)]
    async fn an_image_is_built_and_pushed() {
        let (lines, journal) = build(CancellationToken::new()).await;
        assert!(matches!(lines.last(), Some(BuildLine::Built { .. })), "{lines:?}");
        assert_eq!(journal, ["build shop-api", "push shop-api"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_goes_down_waits_for_no_build() {
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        let (lines, journal) = build(shutdown).await;
        let [BuildLine::Failed { problem, .. }] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!(problem.code, Code::ShuttingDown);
        assert!(journal.is_empty(), "{journal:?}");
    }
}
