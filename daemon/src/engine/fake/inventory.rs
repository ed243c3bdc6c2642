//! What devd has made in the world in memory, and things that another daemon left there.

use super::Fake;
use super::world::World;
use crate::engine::spec::label;
use devd_logic::EnvironmentId;
use devd_logic::sweep::{Kind, Life, Owner, Part, Thing};
use std::collections::BTreeMap;

impl Fake {
    /// A network of a test environment whose daemon was killed; `state` is that one's state folder, and none this one's.
    pub fn leave_behind(&self, name: &str, project: &str, environment: &str, state: Option<&str>) {
        let mut labels = BTreeMap::from([
            (label::PROJECT.to_owned(), project.to_owned()),
            (label::ENVIRONMENT.to_owned(), environment.to_owned()),
        ]);
        labels.extend(state.map(|state| (label::STATE.to_owned(), state.to_owned())));
        self.world().networks.insert(name.to_owned(), labels);
    }
}

impl World {
    pub(super) fn inventory(&self) -> Vec<Thing> {
        let containers = self.containers.iter();
        let containers = containers
            .map(|(id, it)| thing(Kind::Container, id.clone(), it.spec.name.clone(), &it.spec.labels));
        let named = |kind| {
            move |(name, labels): (&String, &BTreeMap<_, _>)| thing(kind, name.clone(), name.clone(), labels)
        };
        let networks = self.networks.iter().map(named(Kind::Network));
        let volumes = self.volumes.iter().map(named(Kind::Volume));
        containers.chain(networks).chain(volumes).flatten().collect()
    }
}

fn thing(kind: Kind, id: String, name: String, labels: &BTreeMap<String, String>) -> Option<Thing> {
    let project = labels.get(label::PROJECT)?.as_str().into();
    let part =
        labels.get(label::ENVIRONMENT).map_or(Part::Services, |id| Part::Tests(EnvironmentId::new(id)));
    let owner = labels.get(label::STATE).map_or(Owner::Us, |state| {
        let life = if state.ends_with("gone") { Life::Gone } else { Life::MayRun };
        Owner::Other { state: state.clone(), life }
    });
    Some(Thing { kind, id, name, project, part, owner })
}
