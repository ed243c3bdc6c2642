//! What has outlived its reason on the engine, and who may remove it.
//!
//! A project's loop sees to everything of its own. This is for the rest: what a daemon that was killed has left of
//! projects that nobody keeps any more.

use crate::EnvironmentId;
use devd_proto::ProjectName;
use std::collections::BTreeSet;

/// Something on the engine that a devd has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// What it is.
    pub kind: Kind,
    /// By which the engine finds it.
    pub id: String,
    /// By which people know it.
    pub name: String,
    /// Its project.
    pub project: ProjectName,
    /// What it is a part of.
    pub part: Part,
    /// Who made it.
    pub owner: Owner,
}

/// Kinds of things, in the order in which they can be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A container.
    Container,
    /// A network.
    Network,
    /// A volume.
    Volume,
    /// An image.
    Image,
}

impl Kind {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Image => "image",
        }
    }
}

/// What a thing is a part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The dev stack.
    Services,
    /// A test environment.
    Tests(EnvironmentId),
    /// Dependencies of tests that are kept ready-made.
    Snapshots,
}

impl Part {
    /// Its word, which is that of the label too.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Services => "service",
            Self::Tests(_) => "tests",
            Self::Snapshots => "snapshot",
        }
    }
}

/// The daemon that made a thing, by its state folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This one, in this life or an earlier one.
    Us,
    /// One with another state folder.
    Other {
        /// That folder.
        state: String,
        /// What became of it.
        life: Life,
    },
    /// One that did not say.
    Unknown,
}

/// What is known of another daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It runs, or is out of sight: on another machine, or another user's.
    MayRun,
    /// It does not run, and would find everything again.
    Ended,
    /// Its state folder is gone, and with it whoever could know of the thing.
    Gone,
}

/// What is to become of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is somebody's.
    Stays,
    /// It goes without a question.
    Goes,
    /// It goes when somebody asks for that.
    GoesWhenAsked,
}

/// Judges a thing by the projects that are registered. `volumes`: whoever asks wants data removed too.
pub fn judge(thing: &Thing, registered: &BTreeSet<ProjectName>, volumes: bool) -> (Fate, String) {
    let project = &thing.project;
    let (fate, reason) = match (&thing.owner, &thing.part) {
        (Owner::Us, _) if registered.contains(project) => {
            (Fate::Stays, format!("{project} is registered, and is looked after"))
        }
        // Nobody can use it again: its lease was that of the run.
        (Owner::Us, Part::Tests(id)) => {
            (Fate::Goes, format!("test environment {id} is left over, and {project} is not registered"))
        }
        (Owner::Us, Part::Services | Part::Snapshots) => {
            (Fate::GoesWhenAsked, format!("{project} is not registered any more"))
        }
        (Owner::Other { state, life: Life::MayRun }, _) => {
            (Fate::Stays, format!("it belongs to the daemon of {state}"))
        }
        (Owner::Other { state, life: Life::Ended }, Part::Tests(_)) => {
            (Fate::GoesWhenAsked, format!("the daemon of {state} has ended, and its tests with it"))
        }
        (Owner::Other { state, life: Life::Ended }, Part::Services | Part::Snapshots) => {
            (Fate::Stays, format!("the daemon of {state} finds it again when it starts"))
        }
        (Owner::Other { state, life: Life::Gone }, _) => {
            (Fate::GoesWhenAsked, format!("the state folder {state} of its daemon is gone"))
        }
        (Owner::Unknown, _) => (Fate::Stays, "its devd did not say where it keeps its state".to_owned()),
    };
    let data = thing.kind == Kind::Volume && thing.part == Part::Services;
    if data && !volumes && fate != Fate::Stays {
        return (Fate::Stays, format!("{reason}, but it holds data: `--volumes` removes it too"));
    }
    (fate, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn thing(kind: Kind, part: Part, owner: Owner) -> Thing {
        Thing { kind, id: "1".to_owned(), name: "x".to_owned(), project: "shop".into(), part, owner }
    }

    fn owners() -> Vec<Owner> {
        let other = |life| Owner::Other { state: "there:/s".to_owned(), life };
        vec![Owner::Us, other(Life::MayRun), other(Life::Ended), other(Life::Gone), Owner::Unknown]
    }

    fn parts() -> [(Kind, Part); 4] {
        [
            (Kind::Container, Part::Services),
            (Kind::Volume, Part::Services),
            (Kind::Volume, Part::Tests(EnvironmentId::new("7"))),
            (Kind::Image, Part::Snapshots),
        ]
    }

    fn all(registered: &[&str], volumes: bool) -> String {
        let registered = registered.iter().map(|name| ProjectName::from(*name)).collect();
        let mut text = String::new();
        for owner in owners() {
            for (kind, part) in parts() {
                let thing = thing(kind, part, owner.clone());
                let (fate, reason) = judge(&thing, &registered, volumes);
                let word = match fate {
                    Fate::Stays => "stays",
                    Fate::Goes => "goes",
                    Fate::GoesWhenAsked => "asked",
                };
                text += &format!("{word} {} of {}: {reason}\n", kind.as_str(), thing.part.as_str());
            }
        }
        text
    }

    #[test]
    fn only_what_is_ours_and_of_no_use_to_anybody_goes_by_itself() {
        expect![[r#"
            asked container of service: shop is not registered any more
            stays volume of service: shop is not registered any more, but it holds data: `--volumes` removes it too
            goes volume of tests: test environment 7 is left over, and shop is not registered
            asked image of snapshot: shop is not registered any more
            stays container of service: it belongs to the daemon of there:/s
            stays volume of service: it belongs to the daemon of there:/s
            stays volume of tests: it belongs to the daemon of there:/s
            stays image of snapshot: it belongs to the daemon of there:/s
            stays container of service: the daemon of there:/s finds it again when it starts
            stays volume of service: the daemon of there:/s finds it again when it starts
            asked volume of tests: the daemon of there:/s has ended, and its tests with it
            stays image of snapshot: the daemon of there:/s finds it again when it starts
            asked container of service: the state folder there:/s of its daemon is gone
            stays volume of service: the state folder there:/s of its daemon is gone, but it holds data: `--volumes` removes it too
            asked volume of tests: the state folder there:/s of its daemon is gone
            asked image of snapshot: the state folder there:/s of its daemon is gone
            stays container of service: its devd did not say where it keeps its state
            stays volume of service: its devd did not say where it keeps its state
            stays volume of tests: its devd did not say where it keeps its state
            stays image of snapshot: its devd did not say where it keeps its state
        "#]]
        .assert_eq(&all(&["blog"], false));
    }

    #[test]
    fn volumes_with_data_go_only_when_that_is_said() {
        let text = all(&[], true);
        let going: Vec<&str> = text.lines().filter(|line| line.contains("volume of service")).collect();
        expect![[r#"
            asked volume of service: shop is not registered any more
            stays volume of service: it belongs to the daemon of there:/s
            stays volume of service: the daemon of there:/s finds it again when it starts
            asked volume of service: the state folder there:/s of its daemon is gone
            stays volume of service: its devd did not say where it keeps its state"#]]
        .assert_eq(&going.join("\n"));
    }

    #[test]
    fn what_a_registered_project_has_is_its_loop_s() {
        let text = all(&["shop"], true);
        let ours: Vec<&str> = text.lines().take(parts().len()).collect();
        assert!(ours.iter().all(|line| line.starts_with("stays ")), "{text}");
    }
}
