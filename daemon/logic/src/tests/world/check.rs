//! What must be so in the world: always, and in the end.

use super::{Box_, World};
use crate::*;

impl World {
    /// What must be so at every moment.
    pub(super) fn check_always(&self) {
        assert!(
            self.runs.len() <= self.limits.runs,
            "too many runs: {:?}\n{}",
            self.runs.keys(),
            self.log.join("\n")
        );
        for (suite, view) in self.state.status(self.now).services {
            if view.tests.current {
                let tested = self.tested.get(&suite).copied();
                assert_eq!(
                    tested,
                    Some(self.content(&suite)),
                    "an old verdict of {suite} is shown as today's\n{}",
                    self.log.join("\n")
                );
            }
        }
    }

    /// What must be so once the world has been kind for long enough.
    pub(in crate::tests) fn check_converged(&self) {
        let log = || self.log[self.log.len().saturating_sub(80)..].join("\n");
        if self.state.down.is_some() {
            assert!(
                self.gone && self.boxes.is_empty() && self.networks.is_empty(),
                "something is left\n{}",
                log()
            );
            return;
        }
        let mut seen = self.look();
        seen.name_replicas(self.state.desired());
        let stands_for =
            |it: &Box_| seen.containers.iter().find(|seen| seen.id == it.id).map(|it| &it.service);
        for (service, wanted) in &self.state.desired().services {
            let boxes: Vec<&Box_> = self.boxes.iter().filter(|it| stands_for(it) == Some(service)).collect();
            if wanted.absent {
                assert_eq!(boxes.len(), 0, "containers of {service}\n{}", log());
            }
            if !self.state.wanted(service) {
                assert!(
                    boxes.iter().all(|it| it.state != ContainerState::Running),
                    "{service} runs\n{}",
                    log()
                );
                continue;
            }
            assert_eq!(boxes.len(), 1, "containers of {service}\n{}", log());
            let it = boxes[0];
            assert_eq!(it.state, ContainerState::Running, "{service} is not running\n{}", log());
            let code = self.code.get(&replica::service(service)).copied().unwrap_or(0);
            assert!(it.content >= code, "{service} runs old code\n{}", log());
            assert_eq!(it.definition, wanted.definition, "{service} has an old definition\n{}", log());
            assert_eq!(it.image, self.images[&wanted.image], "{service} has an old image\n{}", log());
        }
        for it in &seen.containers {
            let known = self.state.desired().services.contains_key(&it.service);
            assert!(known, "{} is one too many\n{}", it.service, log());
        }
        for suite in self.state.desired().suites.keys() {
            assert_eq!(
                self.tested.get(suite).copied(),
                Some(self.content(suite)),
                "{suite} is not tested\n{}",
                log()
            );
            let view = &self.state.status(self.now).services[suite].tests;
            assert!(view.current, "the verdict of {suite} is not current\n{}", log());
        }
        assert!(self.environments.is_empty(), "left over: {:?}\n{}", self.environments, log());
        assert!(self.state.status(self.now).settled, "not settled\n{}", log());
    }
}
