//! What every command is given: the global flags, and the way to the output.

use crate::cli::Globals;
use crate::connect;
use crate::error::Error;
use crate::http::Client;
use crate::ui::Ui;

pub(crate) struct Context {
    pub(crate) globals: Globals,
    pub(crate) ui: Ui,
}

impl Context {
    pub(crate) fn new(globals: Globals) -> Self {
        let ui = Ui::new(globals.json);
        Self { globals, ui }
    }

    /// The daemon that runs; never starts one.
    pub(crate) async fn running(&self) -> Result<Client, Error> {
        connect::running().await
    }

    /// The daemon; starts it when none runs.
    pub(crate) async fn started(&self) -> Result<Client, Error> {
        connect::started().await
    }
}
