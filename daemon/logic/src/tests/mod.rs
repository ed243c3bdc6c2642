//! The decisions, in a small truthful world.

mod mishaps;
mod outside;
mod properties;
mod scenarios;
mod world;
