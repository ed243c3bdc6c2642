//! What came to Docker's API when.

use crate::engine::EngineError;

/// The version of the API that is spoken: major, minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Api(pub(super) usize, pub(super) usize);

/// Takes all networks with the creation of a container, `start_interval`, MAC addresses by network, and says how mounts
/// below read-only ones are mounted.
pub(super) const V25: Api = Api(1, 44);
/// Mounts folders of volumes.
pub(super) const V26: Api = Api(1, 45);
/// Mounts images, chooses gateways, and has networks without IPv4.
pub(super) const V28: Api = Api(1, 48);
/// Names interfaces.
pub(super) const V28_1: Api = Api(1, 49);

impl Api {
    /// Refuses what came later. `what` is named as the files name it.
    pub(super) fn takes(self, since: Self, what: &str) -> Result<(), EngineError> {
        if self >= since {
            return Ok(());
        }
        let docker = match since {
            V25 => "25",
            V26 => "26",
            V28 => "28",
            _ => "28.1",
        };
        let (Self(major, minor), Self(ours_major, ours_minor)) = (since, self);
        Err(EngineError::Refused(format!(
            "{what} needs an engine with API {major}.{minor} (Docker {docker}); this one has {ours_major}.{ours_minor}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_later_is_refused_by_its_name() {
        assert_eq!(V28.takes(V25, "it"), Ok(()));
        assert_eq!(V28.takes(V28, "it"), Ok(()));
        let refused = V25.takes(V28_1, "`interface_name`").unwrap_err().to_string();
        assert_eq!(
            refused,
            "`interface_name` needs an engine with API 1.49 (Docker 28.1); this one has 1.44"
        );
    }
}
