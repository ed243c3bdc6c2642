//! The decisions, in a small truthful world.

mod mishaps;
mod properties;
mod scenarios;
mod world;
