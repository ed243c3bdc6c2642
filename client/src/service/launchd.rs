//! A launchd agent on macOS.

use super::{MARKER, run};
use crate::error::Error;
use crate::paths;
use std::path::{Path, PathBuf};

pub(crate) const LABEL: &str = "dev.devd.devdd";

/// `~/Library/LaunchAgents/dev.devd.devdd.plist`.
pub(crate) fn file() -> Result<PathBuf, Error> {
    Ok(paths::home()?.join(format!("Library/LaunchAgents/{LABEL}.plist")))
}

/// Loads the agent into the user's session; whether that worked.
pub(crate) async fn load(file: &Path) -> bool {
    let domain = format!("gui/{}", paths::uid());
    // An earlier one of the same name would be in the way.
    unload().await;
    run("launchctl", &["bootstrap", &domain, &file.display().to_string()]).await
}

pub(crate) async fn unload() -> bool {
    run("launchctl", &["bootout", &format!("gui/{}/{LABEL}", paths::uid())]).await
}

pub(crate) fn plist(program: &Path, socket: &Path, log: &Path, environment: &[(String, String)]) -> String {
    let variables: String = environment
        .iter()
        .map(|(name, value)| {
            format!("    <key>{}</key>\n    <string>{}</string>\n", escape(name), escape(value))
        })
        .collect();
    let environment = if variables.is_empty() {
        String::new()
    } else {
        format!("  <key>EnvironmentVariables</key>\n  <dict>\n{variables}  </dict>\n")
    };
    let [program, socket, log] = [program, socket, log].map(|path| escape(&path.display().to_string()));
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- {MARKER} -->
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>{LABEL}</string>
  <key>ProgramArguments</key>
  <array>
    <string>{program}</string>
    <string>--socket</string>
    <string>{socket}</string>
  </array>
{environment}  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>StandardErrorPath</key>
  <string>{log}</string>
</dict>
</plist>
"#
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn the_agent_starts_at_login_and_comes_back_when_it_dies() {
        let text = plist(
            Path::new("/Users/a & b/bin/devdd"),
            Path::new("/tmp/devd-501/devd.sock"),
            Path::new("/Users/a & b/.local/state/devd/devdd.log"),
            &[("DOCKER_HOST".to_owned(), "unix:///x".to_owned())],
        );
        expect![[r#"
            <?xml version="1.0" encoding="UTF-8"?>
            <!-- Written by `devd install`; `devd uninstall` removes it. -->
            <!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
            <plist version="1.0">
            <dict>
              <key>Label</key>
              <string>dev.devd.devdd</string>
              <key>ProgramArguments</key>
              <array>
                <string>/Users/a &amp; b/bin/devdd</string>
                <string>--socket</string>
                <string>/tmp/devd-501/devd.sock</string>
              </array>
              <key>EnvironmentVariables</key>
              <dict>
                <key>DOCKER_HOST</key>
                <string>unix:///x</string>
              </dict>
              <key>RunAtLoad</key>
              <true/>
              <key>KeepAlive</key>
              <dict>
                <key>SuccessfulExit</key>
                <false/>
              </dict>
              <key>StandardErrorPath</key>
              <string>/Users/a &amp; b/.local/state/devd/devdd.log</string>
            </dict>
            </plist>
        "#]].assert_eq(&text);
    }
}
