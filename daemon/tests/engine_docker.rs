//! What the real engine does when devd asks it. Needs Docker, with `busybox:1` and `redis:7`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "engine_docker/attached.rs"]
mod attached;
#[path = "engine_docker/build.rs"]
mod build;
#[path = "engine_docker/buildx.rs"]
mod buildx;
#[path = "engine_docker/containers.rs"]
mod containers;
#[path = "engine_docker/ending.rs"]
mod ending;
#[path = "engine_docker/files.rs"]
mod files;
#[path = "engine_docker/grants.rs"]
mod grants;
#[path = "engine_docker/lease.rs"]
mod lease;
#[path = "engine_docker/look.rs"]
mod look;
#[path = "engine_docker/mounted.rs"]
mod mounted;
#[path = "engine_docker/namesakes.rs"]
mod namesakes;
#[path = "engine_docker/park.rs"]
mod park;
#[path = "engine_docker/process.rs"]
mod process;
#[path = "engine_docker/remote.rs"]
mod remote;
#[path = "engine_docker/shared.rs"]
mod shared;
#[path = "engine_docker/snapshot.rs"]
mod snapshot;
#[path = "engine_docker/stage.rs"]
mod stage;
