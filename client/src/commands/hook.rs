//! `devd hook`

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use clap::{Args, ValueEnum};
use serde_json::json;

/// Print what makes an editor, or git, tell devd about a save
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  devd hook vim >> ~/.vimrc
  devd hook nvim > ~/.config/nvim/plugin/devd.lua
  devd hook emacs >> ~/.emacs.d/init.el
  devd hook git > .git/hooks/pre-push && chmod +x .git/hooks/pre-push

devd watches the files anyway. A hook makes it quicker, and works where watching does not (network mounts). \
The one for git is a pre-push hook: it runs the tests and stops the push when they fail.")]
pub(crate) struct Hook {
    /// The editor, or `git`
    #[arg(value_name = "EDITOR", value_enum)]
    editor: Editor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Editor {
    /// Vim 8 and later
    Vim,
    /// Neovim
    Nvim,
    /// VS Code, with the extension "Run on Save"
    Vscode,
    /// Emacs
    Emacs,
    /// Helix
    Helix,
    /// IntelliJ IDEA, PyCharm, …: a File Watcher
    Jetbrains,
    /// A pre-push hook that runs the tests
    Git,
}

impl Editor {
    fn hook(self) -> &'static str {
        match self {
            Self::Vim => include_str!("hook/devd.vim"),
            Self::Nvim => include_str!("hook/devd.lua"),
            Self::Vscode => include_str!("hook/vscode.jsonc"),
            Self::Emacs => include_str!("hook/devd.el"),
            Self::Helix => include_str!("hook/helix.toml"),
            Self::Jetbrains => include_str!("hook/watcherTasks.xml"),
            Self::Git => include_str!("hook/pre-push"),
        }
    }
}

pub(crate) fn run(context: &Context, hook: Hook) -> Result<Exit, Error> {
    let text = hook.editor.hook();
    if context.ui.json {
        context.ui.value(&json!({ "hook": text }))?;
    } else {
        context.ui.bytes(text.as_bytes())?;
    }
    Ok(Exit::OK)
}
