//! The decisions, in a small truthful world.

mod properties;
mod scenarios;
mod world;
