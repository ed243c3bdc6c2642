//! What happens to the world from outside: people save files and reach for the engine, containers die, the engine goes.

use super::{World, ms, name};
use crate::*;

impl World {
    pub(in crate::tests) fn save(
        &mut self,
        service: &str,
        path: &str,
        files: usize,
        reaction: Reaction,
        pushed: bool,
    ) {
        let service = name(service);
        let content = self.content(&service) + 1;
        self.disk.insert(service.clone(), content);
        if reaction != Reaction::None {
            self.code.insert(service.clone(), content);
        }
        let change = Change {
            service,
            path: path.to_owned(),
            files,
            reaction,
            action: "as asked",
            tests: true,
            pushed,
            more: self.more,
        };
        self.tell(Event::Changed(change));
    }

    pub(in crate::tests) fn kill(&mut self, service: &str, code: i64) {
        let service = name(service);
        for it in
            self.boxes.iter_mut().filter(|it| it.service == service && it.state == ContainerState::Running)
        {
            it.state = ContainerState::Exited(code);
        }
        self.tell(Event::EngineChanged);
    }

    /// What `docker stop` does to a service; the engine says of each part what it was.
    pub(in crate::tests) fn stop_outside(&mut self, service: &str, code: i64) {
        self.tell(Event::ToldToEnd(name(service)));
        self.kill(service, code);
        self.wait(ms(30));
        self.tell(Event::StoppedOutside(name(service)));
    }

    /// Whether devd neither starts a service nor will.
    pub(in crate::tests) fn is_left_alone(&self, service: &str) -> bool {
        let subject = Subject::Service(name(service));
        !self.state.wanted(&name(service)) && self.state.busy(&subject).is_none()
    }

    /// What `docker start` does.
    pub(in crate::tests) fn start_outside(&mut self, service: &str) {
        let id = self.boxes.iter().find(|it| it.service == name(service)).map(|it| it.id.clone());
        self.start(&id.unwrap_or_default());
        self.tell(Event::EngineChanged);
    }

    /// As if compose had made all containers, from these files or from others.
    pub(in crate::tests) fn foreign(&mut self, same: bool) {
        for it in &mut self.boxes {
            it.foreign = true;
            if !same {
                it.definition = "other".to_owned();
            }
        }
        self.tell(Event::EngineChanged);
    }

    /// From now on the service dies with this code whenever it is started; `None` mends it.
    pub(in crate::tests) fn dies(&mut self, service: &str, code: Option<i64>) {
        match code {
            Some(code) => self.dies.insert(name(service), code),
            None => self.dies.remove(&name(service)),
        };
    }

    /// What was tested is not what there is now.
    pub(in crate::tests) fn forget_tested(&mut self, service: &str) {
        self.tested.remove(&name(service));
    }

    /// Which start of the service's container this is.
    pub(in crate::tests) fn started(&self, service: &str) -> String {
        let it = self.boxes.iter().find(|it| it.service == name(service));
        it.map(|it| format!("{}.{}", it.id, it.start)).unwrap_or_default()
    }

    pub(in crate::tests) fn remove_container(&mut self, service: &str) {
        self.boxes.retain(|it| it.service != name(service));
        self.tell(Event::EngineChanged);
    }

    pub(in crate::tests) fn remove_networks(&mut self) {
        self.networks.clear();
        self.tell(Event::EngineChanged);
    }

    pub(in crate::tests) fn engine(&mut self, gone: bool) {
        self.engine_gone = gone;
        self.tell(if gone { Event::EngineChanged } else { Event::EngineBack });
    }
}
