//! Commands that the files have run in a container: hooks, `sync+exec`, and `on_change: {exec: …}`.

use crate::engine::spec::ExecSpec;
use crate::engine::{Engine, EngineError};
use devd_compose::model::{Hook, Service};
use futures_util::StreamExt as _;
use std::time::Duration;

/// How long the hooks before a stop may take when nothing is said: Docker's own grace period.
const GRACE: Duration = Duration::from_secs(10);

/// Runs what is to run right after a start, one after the other; the first that fails is an error.
pub async fn after_start<E: Engine>(
    engine: &E,
    service: &Service,
    container: &str,
) -> Result<(), EngineError> {
    for hook in &service.host.post_start {
        run_in(engine, container, exec_spec(hook)).await.map_err(|error| named("post_start", error))?;
    }
    Ok(())
}

/// Runs what is to run right before a stop. It cannot keep a service from being stopped: not by failing, nor by taking
/// longer than the service's grace period.
pub async fn before_stop<E: Engine>(engine: &E, service: &Service, container: &str) {
    let hooks = async {
        for hook in &service.host.pre_stop {
            run_in(engine, container, exec_spec(hook)).await?;
        }
        Ok::<_, EngineError>(())
    };
    let grace = service.stop_grace_period.unwrap_or(GRACE);
    let name = &service.name;
    match tokio::time::timeout(grace, hooks).await {
        Ok(Ok(())) => {}
        // It may not run any more.
        Ok(Err(error)) => {
            tracing::info!(service = name, %error, "`pre_stop` failed; it is stopped all the same")
        }
        Err(_) => {
            tracing::info!(service = name, ?grace, "`pre_stop` took too long; it is stopped all the same")
        }
    }
}

fn named(hook: &str, error: EngineError) -> EngineError {
    match error {
        EngineError::Refused(reason) => EngineError::Refused(format!("{hook}: {reason}")),
        EngineError::NotFound(reason) => EngineError::NotFound(format!("{hook}: {reason}")),
        other @ (EngineError::Unreachable(_) | EngineError::BuildFailed { .. }) => other,
    }
}

/// How a command of the files is run.
pub fn exec_spec(exec: &Hook) -> ExecSpec {
    let env = exec.environment.iter();
    ExecSpec {
        cmd: exec.command.clone(),
        tty: None,
        env: env.filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?))).collect(),
        user: exec.user.clone(),
        workdir: exec.working_dir.clone(),
        privileged: exec.privileged,
    }
}

/// Runs a command in a container to its end; an error with the end of its output when it fails.
pub async fn run_in<E: Engine>(engine: &E, container: &str, spec: ExecSpec) -> Result<(), EngineError> {
    let line = spec.cmd.join(" ");
    let mut exec = engine.exec(container, spec).await?;
    drop(exec.input);
    let mut output = Vec::new();
    while let Some(chunk) = exec.output.next().await {
        let (_, bytes) = chunk?;
        // The end is what says why; no more of it is kept than can be shown.
        output.extend_from_slice(&bytes);
        let surplus = output.len().saturating_sub(4096);
        output.drain(..surplus);
    }
    match exec.exit.await? {
        0 => Ok(()),
        code => {
            let output = String::from_utf8_lossy(&output);
            Err(EngineError::Refused(format!("`{line}` exited with code {code}\n{}", output.trim_end())))
        }
    }
}
