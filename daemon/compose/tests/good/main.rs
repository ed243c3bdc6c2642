//! What good files mean.

#[path = "../common/mod.rs"]
mod common;
mod every_field;
mod extends;
mod grants;
mod hash;
mod host;
mod include;
mod meaning;
