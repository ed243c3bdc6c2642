//! The engine's events as hints of where to look.

use super::Owners;
use super::ending::Ending;
use super::link::Connection;
use super::wire::{Address, Call, json_lines};
use crate::engine::spec::{OF_ENVIRONMENT, compose, label};
use crate::engine::{EngineChange, EngineError};
use devd_logic::EnvironmentId;
use futures_util::stream::{BoxStream, StreamExt};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::broadcast;

/// How often an engine behind a network is asked whether it is still there: a stream of events that a network
/// forgot looks like a quiet one.
const CHECK: Duration = Duration::from_secs(20);

/// Signals by which images want to be stopped: INT, QUIT, TERM, and Linux's RTMIN+3 of systemd.
const ENDING: [&str; 4] = ["2", "3", "15", "37"];
const KILL: &str = "9";

/// Events from now on.
pub(super) type Subscription = BoxStream<'static, Result<Event, EngineError>>;

/// What happened, as far as we care.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Event {
    #[serde(rename = "Type", default)]
    kind: String,
    #[serde(rename = "Action", default)]
    action: String,
    #[serde(rename = "Actor", default)]
    actor: Actor,
}

#[derive(Debug, Default, Deserialize)]
struct Actor {
    #[serde(rename = "ID", default)]
    id: String,
    #[serde(rename = "Attributes", default)]
    attributes: BTreeMap<String, String>,
}

/// Subscribes. When this returns, the subscription stands.
pub(super) async fn subscribe(connection: &Connection) -> Result<Subscription, EngineError> {
    let mut filters = serde_json::json!({ "type": ["container", "network", "volume"] });
    if !connection.podman {
        // Keeps the executions of health checks off the line. Podman has other words for some of these.
        filters["event"] = serde_json::json!([
            "create",
            "start",
            "die",
            "kill",
            "stop",
            "destroy",
            "pause",
            "unpause",
            "rename",
            "oom",
            "health_status",
            "remove"
        ]);
    }
    let call = Call::get("/events").query(&[("filters", filters.to_string())]);
    Ok(json_lines(call.send(&connection.address).await?))
}

/// The service of the first of these containers that somebody has told to end within a time that ends now. Engines
/// remember some hundreds of events.
pub(super) async fn told_to_end(
    connection: &Connection,
    containers: &[&str],
    within: Duration,
) -> Result<Option<String>, EngineError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let filters = serde_json::json!({ "type": ["container"], "event": ["kill"], "container": containers });
    let call = Call::get("/events").query(&[
        ("since", in_seconds(now.saturating_sub(within))),
        ("until", in_seconds(now)),
        ("filters", filters.to_string()),
    ]);
    let mut told: Subscription = json_lines(call.send(&connection.address).await?);
    while let Some(event) = told.next().await {
        let Event { actor, .. } = event?;
        let signal = actor.attributes.get("signal").map_or("", String::as_str);
        // Podman has other ways to filter.
        if containers.contains(&actor.id.as_str()) && (signal == KILL || ENDING.contains(&signal)) {
            let service = actor.attributes.get(compose::SERVICE);
            return Ok(Some(service.map_or("a dependency", String::as_str).to_owned()));
        }
    }
    Ok(None)
}

/// A time as the engine takes it.
fn in_seconds(time: Duration) -> String {
    format!("{}.{:09}", time.as_secs(), time.subsec_nanos())
}

/// Forwards hints until the stream breaks; returns why.
pub(super) async fn forward(
    mut subscription: Subscription,
    connection: &Connection,
    owners: &Owners,
    changes: &broadcast::Sender<EngineChange>,
) -> String {
    loop {
        let event = tokio::select! {
            event = subscription.next() => event,
            () = tokio::time::sleep(CHECK), if matches!(connection.address, Address::Tcp(_)) => {
                match tokio::time::timeout(CHECK, connection.api.ping()).await {
                    Ok(Ok(_)) => continue,
                    Ok(Err(error)) => return super::error::with_sources(&error),
                    Err(_) => return "it does not answer any more".to_owned(),
                }
            }
        };
        match event {
            Some(Ok(event)) => {
                if let Some(change) = change(&event, owners, &connection.ending) {
                    // Nobody listens: whoever comes is told to look at everything.
                    let _ = changes.send(change);
                }
            }
            Some(Err(EngineError::Refused(error))) => tracing::debug!(error, "event not understood"),
            Some(Err(error)) => return error.to_string(),
            None => return "the engine hung up".to_owned(),
        }
    }
}

/// What an event says about a dev stack.
fn change(event: &Event, owners: &Owners, ending: &Ending) -> Option<EngineChange> {
    let attributes = &event.actor.attributes;
    if let Some(environment) = attributes.get(label::ENVIRONMENT)
        && matches!(event.action.as_str(), "die" | "died" | "destroy" | "remove")
    {
        let project = attributes.get(label::PROJECT)?.clone();
        return Some(EngineChange::Environment { project, environment: EnvironmentId::new(environment) });
    }
    // An environment that stands ready is of no use without its network. These events carry a name and no labels.
    if event.kind == "network"
        && matches!(event.action.as_str(), "destroy" | "remove")
        && let Some((project, environment)) = attributes.get("name").and_then(|name| environment_of(name))
    {
        return Some(EngineChange::Environment { project, environment });
    }
    let wish = matches!((event.kind.as_str(), event.action.as_str()), ("container", "kill" | "stop"));
    if !wish {
        return concerns(event, owners).map(EngineChange::Project);
    }
    let of_a_run = attributes.contains_key(label::ENVIRONMENT);
    let one_off = attributes.get(compose::ONEOFF).is_some_and(|value| value == "True");
    let project = attributes.get(compose::PROJECT).filter(|_| !of_a_run && !one_off)?.clone();
    let service = attributes.get(compose::SERVICE)?.clone();
    let container = event.actor.id.clone();
    if ending.leads_to(&container, &event.action) {
        return Some(EngineChange::Project(project));
    }
    if event.action == "stop" {
        return Some(EngineChange::Stopped { project, service, container });
    }
    // Only to end it in peace is a signal sent that it may catch; the others mean something to it.
    let signal = attributes.get("signal").map_or("", String::as_str);
    ENDING.contains(&signal).then_some(EngineChange::ToldToEnd { project, service, container })
}

/// Whose test environment a network is of: `shop-devd-7-1_default`.
fn environment_of(network: &str) -> Option<(String, EnvironmentId)> {
    let (project, rest) = network.rsplit_once(OF_ENVIRONMENT)?;
    let (id, _) = rest.split_once('_')?;
    Some((project.to_owned(), EnvironmentId::new(id)))
}

/// The project whose dev stack an event is about.
fn concerns(event: &Event, owners: &Owners) -> Option<String> {
    let attributes = &event.actor.attributes;
    // `health_status: healthy`; newer engines say only `health_status`.
    let action = event.action.split(':').next().unwrap_or_default();
    match event.kind.as_str() {
        "container" => {
            let ours = matches!(
                action,
                "create"
                    | "start"
                    | "die"
                    | "died"
                    | "destroy"
                    | "remove"
                    | "pause"
                    | "unpause"
                    | "rename"
                    | "oom"
            ) || action.starts_with("health_status");
            let of_a_run = attributes.contains_key(label::ENVIRONMENT);
            let project = attributes.get(compose::PROJECT).filter(|_| ours && !of_a_run)?;
            Some(project.clone())
        }
        // These events carry a name and no labels.
        "network" if matches!(action, "destroy" | "remove") => {
            owners.of(attributes.get("name").unwrap_or(&event.actor.id))
        }
        "volume" if matches!(action, "destroy" | "remove") => owners.of(&event.actor.id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(json: serde_json::Value) -> Option<String> {
        let owners = Owners::default();
        owners.learn("shop", [&"shop_default".to_owned(), &"shop_data".to_owned()].into_iter());
        concerns(&serde_json::from_value(json).unwrap(), &owners)
    }

    fn container(action: &str, labels: &[(&str, &str)]) -> Option<String> {
        let labels: BTreeMap<_, _> = labels.iter().copied().collect();
        about(
            serde_json::json!({ "Type": "container", "Action": action, "Actor": { "ID": "1", "Attributes": labels } }),
        )
    }

    #[test]
    fn only_what_happens_to_a_dev_stack_counts() {
        let stack = [(compose::PROJECT, "shop")];
        for action in ["start", "die", "destroy", "health_status: healthy", "health_status", "rename"] {
            assert_eq!(container(action, &stack).as_deref(), Some("shop"), "{action}");
        }
        for action in ["exec_create: sh", "exec_die", "attach", "top", "kill"] {
            assert_eq!(container(action, &stack), None, "{action}");
        }
        assert_eq!(container("die", &[]), None);
        assert_eq!(container("die", &[(compose::PROJECT, "shop-devd-1"), (label::ENVIRONMENT, "1")]), None);
    }

    #[test]
    fn who_stops_a_service_is_heard() {
        let wish = |action: &str, more: &[(&str, &str)]| {
            let labels = [(compose::PROJECT, "shop"), (compose::SERVICE, "web")];
            let labels: BTreeMap<_, _> = labels.iter().chain(more).copied().collect();
            let event = serde_json::json!({ "Type": "container", "Action": action, "Actor": { "ID": "1", "Attributes": labels } });
            change(&serde_json::from_value(event).unwrap(), &Owners::default(), &Ending::default())
        };
        let (project, service, container) = ("shop".to_owned(), "web".to_owned(), "1".to_owned());
        let told = EngineChange::ToldToEnd {
            project: project.clone(),
            service: service.clone(),
            container: container.clone(),
        };
        assert_eq!(wish("kill", &[("signal", "15")]), Some(told));
        assert_eq!(wish("stop", &[]), Some(EngineChange::Stopped { project, service, container }));
        assert_eq!(wish("kill", &[("signal", "9")]), None, "that is an accident");
        assert_eq!(wish("kill", &[("signal", "1")]), None);
        assert_eq!(wish("stop", &[(label::ENVIRONMENT, "1")]), None);
        assert_eq!(wish("stop", &[(compose::ONEOFF, "True")]), None);
    }

    #[test]
    fn what_devd_stops_itself_is_nobody_elses_wish() {
        let ending = Ending::default();
        let is_ours = |action: &str| {
            let labels: BTreeMap<_, _> =
                [(compose::PROJECT, "shop"), (compose::SERVICE, "web"), ("signal", "15")].into();
            let event = serde_json::json!({ "Type": "container", "Action": action, "Actor": { "ID": "1", "Attributes": labels } });
            match change(&serde_json::from_value(event).unwrap(), &Owners::default(), &ending) {
                Some(EngineChange::Project(_)) => true,
                Some(EngineChange::Stopped { .. } | EngineChange::ToldToEnd { .. }) => false,
                other => panic!("{other:?}"),
            }
        };
        let doing = ending.begins("1", "stop");
        assert_eq!(
            ["kill", "stop", "kill", "stop"].map(is_ours),
            [true, true, false, false],
            "the last is a person's"
        );
        drop(doing);
        // The engine's answer may be there sooner.
        drop(ending.begins("1", "kill"));
        assert_eq!(["kill", "kill", "stop"].map(is_ours), [true, false, false]);
    }

    #[test]
    fn the_end_of_a_container_of_a_test_environment_is_heard_by_its_project() {
        let told = |action: &str| {
            let labels =
                [(label::PROJECT, "shop"), (label::ENVIRONMENT, "7-1"), (compose::PROJECT, "shop-devd-7-1")];
            let labels: BTreeMap<_, _> = labels.into_iter().collect();
            let event = serde_json::json!({ "Type": "container", "Action": action, "Actor": { "ID": "1", "Attributes": labels } });
            change(&serde_json::from_value(event).unwrap(), &Owners::default(), &Ending::default())
        };
        let environment = EnvironmentId::new("7-1");
        assert_eq!(told("die"), Some(EngineChange::Environment { project: "shop".to_owned(), environment }));
        assert_eq!(told("start"), None);
    }

    #[test]
    fn the_end_of_a_network_of_a_test_environment_is_heard_by_its_project() {
        let told = |name: &str, action: &str| {
            let actor = serde_json::json!({ "ID": "77", "Attributes": { "name": name, "type": "bridge" } });
            let event = serde_json::json!({ "Type": "network", "Action": action, "Actor": actor });
            change(&serde_json::from_value(event).unwrap(), &Owners::default(), &Ending::default())
        };
        let (project, environment) = ("my_shop".to_owned(), EnvironmentId::new("6b08-1"));
        let broken = Some(EngineChange::Environment { project, environment });
        assert_eq!(told("my_shop-devd-6b08-1_my_net", "destroy"), broken);
        assert_eq!(told("my_shop-devd-6b08-1_my_net", "disconnect"), None);
        assert_eq!(told("my_shop_default", "destroy"), None);
    }

    #[test]
    fn networks_and_volumes_are_known_by_name() {
        let network = |name: &str, action: &str| {
            let actor = serde_json::json!({ "ID": "77", "Attributes": { "name": name, "type": "bridge" } });
            about(serde_json::json!({ "Type": "network", "Action": action, "Actor": actor }))
        };
        assert_eq!(network("shop_default", "destroy").as_deref(), Some("shop"));
        assert_eq!(network("shop_default", "disconnect"), None);
        assert_eq!(network("other", "destroy"), None);
        let volume =
            serde_json::json!({ "Type": "volume", "Action": "destroy", "Actor": { "ID": "shop_data" } });
        assert_eq!(about(volume).as_deref(), Some("shop"));
    }
}
