//! Removing what has outlived its reason and that no project's loop knows of.

use super::Registry;
use crate::engine::spec::Act;
use crate::engine::{Engine, EngineError, Progress};
use devd_logic::sweep::{Fate, Kind, Thing, judge};
use devd_proto::{Code, Leftover, Leftovers, Problem, ProjectName};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// An engine needs a moment to take a removed container off its networks and volumes.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(100);

impl<E: Engine> Registry<E> {
    /// Everything that a devd has made, with what becomes of it when somebody asks for it to be cleaned, and why.
    pub async fn leftovers(&self, volumes: bool) -> Result<Leftovers, Problem> {
        let judged = self.judged(volumes).await.map_err(problem)?;
        let mut leftovers = Leftovers::default();
        for (thing, fate, reason) in judged {
            let leftover = shown(&thing, reason);
            if fate == Fate::Stays {
                leftovers.kept.push(leftover);
            } else {
                leftovers.leftovers.push(leftover);
            }
        }
        Ok(leftovers)
    }

    /// Removes those with these ids that still are left over.
    pub async fn clean(&self, ids: &[String], volumes: bool) -> Result<Leftovers, Problem> {
        // What is left over must not become somebody's while it is removed.
        let _one_at_a_time = self.inner.registering.lock().await;
        let judged = self.judged(volumes).await.map_err(problem)?;
        let (chosen, others): (Vec<_>, Vec<_>) =
            judged.into_iter().partition(|(thing, fate, _)| *fate != Fate::Stays && ids.contains(&thing.id));
        let kept = others.into_iter().filter(|(thing, ..)| ids.contains(&thing.id));
        let kept = kept.map(|(thing, _, reason)| shown(&thing, reason)).collect();
        let chosen = chosen.into_iter().map(|(thing, _, reason)| (thing, reason)).collect();
        Ok(Leftovers { leftovers: self.remove_all(chosen).await, kept })
    }

    /// Removes what goes without a question. Done at the start, whenever the engine is back, and when a project goes.
    pub(super) async fn sweep(&self) {
        // Who is registered is known only then.
        if !self.inner.restored.load(Ordering::Acquire) {
            return;
        }
        let judged = match self.judged(false).await {
            Ok(judged) => judged,
            Err(error) => {
                return tracing::debug!(%error, "what is left over is looked for when the engine is back");
            }
        };
        let going = judged.into_iter().filter(|(_, fate, _)| *fate == Fate::Goes);
        for leftover in self.remove_all(going.map(|(thing, _, reason)| (thing, reason)).collect()).await {
            let Leftover { kind, name, reason, .. } = &leftover;
            match &leftover.error {
                None => tracing::info!(kind, name, reason, "removed what was left over"),
                Some(error) => tracing::warn!(kind, name, reason, error, "cannot remove what is left over"),
            }
        }
    }

    async fn judged(&self, volumes: bool) -> Result<Vec<(Thing, Fate, String)>, EngineError> {
        // In this order: what is made after the look is not in it, and its project is registered before it is made.
        let mut things = self.surroundings().engine.inventory().await?;
        let registered: BTreeSet<ProjectName> =
            self.inner.projects.iter().map(|entry| entry.key().clone()).collect();
        things.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        Ok(things
            .into_iter()
            .map(|thing| {
                let (fate, reason) = judge(&thing, &registered, volumes);
                (thing, fate, reason)
            })
            .collect())
    }

    /// Removes things that come in the order in which they can go. Everything is tried, whatever fails.
    async fn remove_all(&self, things: Vec<(Thing, String)>) -> Vec<Leftover> {
        let mut leftovers = Vec::new();
        for (thing, reason) in things {
            let removed = self.remove_thing(&thing).await;
            let mut leftover = shown(&thing, reason);
            leftover.removed = removed.is_ok();
            leftover.error = removed.err().map(|error| error.to_string());
            leftovers.push(leftover);
        }
        leftovers
    }

    async fn remove_thing(&self, thing: &Thing) -> Result<(), EngineError> {
        let id = thing.id.clone();
        let act = match thing.kind {
            Kind::Container => Act::Kill(id),
            Kind::Network => Act::RemoveNetwork(id),
            Kind::Volume => Act::RemoveVolume(id),
            Kind::Image => Act::RemoveImage(id),
        };
        let mut attempt = 1;
        loop {
            match self.surroundings().engine.apply(&act, &Progress::none()).await {
                Err(EngineError::Refused(_)) if attempt < ATTEMPTS => {}
                other => return other.map(drop),
            }
            tokio::time::sleep(PAUSE * attempt).await;
            attempt += 1;
        }
    }
}

fn shown(thing: &Thing, reason: String) -> Leftover {
    Leftover {
        kind: thing.kind.as_str().to_owned(),
        id: thing.id.clone(),
        name: thing.name.clone(),
        project: thing.project.clone(),
        role: thing.part.as_str().to_owned(),
        reason,
        removed: false,
        error: None,
    }
}

fn problem(error: EngineError) -> Problem {
    match error {
        EngineError::Unreachable(_) => Problem::new(Code::EngineUnreachable, error.to_string())
            .help("start Docker, or say where it is by DOCKER_HOST; `devd doctor` says what was tried"),
        error => Problem::new(Code::EngineRefused, error.to_string()),
    }
}
