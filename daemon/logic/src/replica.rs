//! Services of several containers.
//!
//! Each container is kept by itself, under a name of its own: the first under that of the service, the others as `web/2`,
//! which no service can be called. What is asked of a service is asked of each; what it looks like is put together again.

use crate::{Desired, Need, Observed, Service};
use devd_proto::ServiceName;
use std::collections::BTreeSet;

/// The name under which the container of this number is kept.
pub fn name(service: &ServiceName, number: u32) -> ServiceName {
    if number <= 1 { service.clone() } else { ServiceName::new(format!("{service}/{number}")) }
}

/// The service of such a name, and the number of its container.
pub fn parse(name: &ServiceName) -> (ServiceName, u32) {
    let parts = name.as_str().rsplit_once('/');
    let parts = parts.and_then(|(service, number)| Some((ServiceName::from(service), number.parse().ok()?)));
    parts.unwrap_or_else(|| (name.clone(), 1))
}

/// The service of such a name.
pub fn service(name: &ServiceName) -> ServiceName {
    parse(name).0
}

impl Desired {
    /// Makes a service so many containers. Whoever needs it needs them all.
    pub fn scale(&mut self, service: &ServiceName, count: u32) {
        let Some(first) = self.services.get_mut(service) else { return };
        first.absent = count == 0;
        let further = Service { build: None, replica_of: Some(service.clone()), ..first.clone() };
        for number in 2..=count {
            self.services.insert(name(service, number), further.clone());
        }
        for other in self.services.values_mut() {
            let Some(need) = other.needs.iter().find(|need| need.service == *service).cloned() else {
                continue;
            };
            let further = (2..=count).map(|number| Need { service: name(service, number), ..need.clone() });
            other.needs.extend(further);
        }
    }

    /// The names under which the containers of a service are kept, its own first.
    pub fn replicas<'a>(&'a self, service: &'a ServiceName) -> impl Iterator<Item = ServiceName> + 'a {
        let more = (2..).map(|number| name(service, number));
        let more = more.take_while(|name| self.services.contains_key(name));
        std::iter::once(service.clone()).chain(more)
    }
}

impl Observed {
    /// Gives each container the name under which it is kept. Numbers need not go from one up: whoever made them may have
    /// removed some since. Those that are too many stand for the service itself, of which there is only one.
    pub fn name_replicas(&mut self, desired: &Desired) {
        let services: BTreeSet<ServiceName> =
            self.containers.iter().map(|container| service(&container.service)).collect();
        for service in services {
            let mut places: Vec<ServiceName> = desired.replicas(&service).collect();
            let mut own: Vec<_> =
                self.containers.iter_mut().filter(|it| self::service(&it.service) == service).collect();
            own.sort_by(|a, b| (a.number, &a.id).cmp(&(b.number, &b.id)));
            let mut others = Vec::new();
            for container in own {
                let place = places.iter().position(|place| *place == name(&service, container.number));
                match place {
                    Some(place) => container.service = places.remove(place),
                    None => others.push(container),
                }
            }
            let mut places = places.into_iter();
            for container in others {
                container.service = places.next().unwrap_or_else(|| service.clone());
            }
        }
    }
}
