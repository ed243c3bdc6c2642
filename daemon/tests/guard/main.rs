//! Nobody gets in, and nothing gets out: the real program on the world in memory, with whatever a stranger, a careless
//! client or a compose file full of secrets may do to it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod places;
mod requests;
mod secrets;
mod strangers;
mod support;
