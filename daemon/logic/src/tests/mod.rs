//! The decisions, in a small truthful world.

mod images;
mod mishaps;
mod outside;
mod properties;
mod replicas;
mod scenarios;
mod world;
