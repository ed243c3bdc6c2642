//! What must be so when the daemon has come to rest.

use super::*;

impl World<'_> {
    /// What the user stopped has stayed stopped.
    pub(super) fn check_stopped(&self) -> Result<(), Broken> {
        let running = self.fake.running();
        let stopped = self.stopped.iter().map(|(project, service)| container(*project, *service));
        let up: Vec<String> = stopped.filter(|name| running.contains(name)).collect();
        if up.is_empty() { Ok(()) } else { broken("what the user stopped stays stopped", format!("{up:?}")) }
    }

    /// All is as the files say, and every run that ended is in the history.
    pub(super) async fn check_converged(&mut self, life: &Life) -> Result<(), Broken> {
        let running = self.fake.running();
        for (project, services) in SERVICES.iter().enumerate() {
            let Some(handle) = life.handle(project) else { continue };
            for service in 0..services.len() {
                if running.iter().filter(|name| **name == container(project, service)).count() != 1 {
                    let how = format!("{} does not run\n{:#?}", container(project, service), handle.status());
                    return broken("it ends where the files say", how);
                }
            }
        }
        self.check_content(life)?;
        // Beside those that stand ready, and one that is being made for each.
        let handles = (0..PROJECTS.len()).filter_map(|project| Some((project, life.handle(project)?)));
        let statuses = handles.map(|(project, handle)| (project, handle.status()));
        let warm = statuses.map(|(project, status)| {
            let main = status.services.iter().find(|service| service.name.as_str() == SERVICES[project][0]);
            main.map_or(0, |main| main.tests.warm as usize) + 1
        });
        let (warm, there) = (warm.sum::<usize>(), self.fake.environments());
        if there.len() > warm {
            return broken("no environment outlives its use", format!("{warm} are of use: {there:?}"));
        }
        let ended = self.ended.lock().unwrap().clone();
        for (id, state) in ended {
            let kept = self.history.get(&id).await.unwrap();
            if kept.as_ref().map(|run| run.state) != Some(state) {
                return broken(
                    "no run that ended is lost from the history",
                    format!("{id} {state:?}: {kept:?}"),
                );
            }
        }
        let runs =
            self.history.list(RunFilter { limit: Some(500), ..RunFilter::default() }).await.unwrap().runs;
        let open = |run: &&Run| matches!(run.state, TestsState::Running | TestsState::Queued);
        match runs.iter().find(open) {
            Some(run) => broken("every run ends", run.id.as_str()),
            None => Ok(()),
        }
    }

    /// What runs began after the last save that it has to read, and so was what it runs from built.
    pub(super) fn check_content(&self, life: &Life) -> Result<(), Broken> {
        let journal = self.fake.journal();
        for (project, [process, image]) in self.owed.iter().enumerate() {
            if life.handle(project).is_none() {
                continue;
            }
            let name = container(project, 0);
            let begins =
                |line: &String| *line == format!("start {name}") || *line == format!("restart {name}");
            let build = format!("build {}-{}", PROJECTS[project], SERVICES[project][0]);
            let builds = |line: &String| line.starts_with(&build) && !line.contains("tests");
            for (made, owed, what) in [
                (journal.iter().rposition(begins), process, "runs"),
                (journal.iter().rposition(builds), image, "was built from"),
            ] {
                if made.is_none_or(|made| made < *owed) {
                    return broken("it ends where the files say", format!("{name} {what} old code"));
                }
            }
        }
        Ok(())
    }

    /// Nothing was done to what runs since the journal was so long.
    pub(super) fn check_untouched(&self, before: usize) -> Result<(), Broken> {
        let journal = self.fake.journal();
        let touched = journal[before..].iter().find(|line| {
            let (what, name) = line.split_once(' ').unwrap_or_default();
            matches!(what, "start" | "stop" | "restart" | "remove" | "create" | "build" | "pull")
                && (0..PROJECTS.len())
                    .any(|project| (0..2).any(|service| container(project, service) == name))
        });
        match touched {
            Some(line) => broken("nothing that runs is disturbed without a cause", line.as_str()),
            None => Ok(()),
        }
    }
}
