//! systemd user units: a service, and the socket that starts it.

use super::{MARKER, Present, present, run};
use crate::error::Error;
use crate::paths;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

pub(crate) const SERVICE: &str = "devdd.service";
pub(crate) const SOCKET: &str = "devdd.socket";

/// What `devd install` does with them.
pub(crate) const ENABLE: &str = "systemctl --user enable --now devdd.socket devdd.service";

/// `$XDG_CONFIG_HOME/systemd/user`.
pub(crate) fn folder() -> Result<PathBuf, Error> {
    Ok(paths::config()?.join("systemd/user"))
}

/// Runs `systemctl --user`; whether it succeeded.
pub(crate) async fn control(arguments: &[&str]) -> bool {
    run("systemctl", &[&["--user"], arguments].concat()).await
}

/// Whether systemd is to start both units; none where it does not answer.
pub(crate) async fn are_enabled() -> Option<bool> {
    if !control(&["show-environment"]).await {
        return None;
    }
    Some(
        control(&["--quiet", "is-enabled", SOCKET]).await
            && control(&["--quiet", "is-enabled", SERVICE]).await,
    )
}

/// Whether the units are ours and their socket is the one this client uses.
fn serves(socket: &Path) -> bool {
    let unit = || -> Option<String> {
        let file = folder().ok()?.join(SOCKET);
        matches!(present(&file), Ok(Present::Ours)).then(|| std::fs::read_to_string(file).ok())?
    };
    let default = std::env::var_os("XDG_RUNTIME_DIR").map(|dir| Path::new(&dir).join("devd/devd.sock"));
    let listens =
        if default.as_deref() == Some(socket) { "%t/devd/devd.sock".to_owned() } else { escape(socket) };
    cfg!(target_os = "linux")
        && unit().is_some_and(|text| text.lines().any(|line| line == format!("ListenStream={listens}")))
}

/// Where systemd keeps the daemon, it starts it too: whether it now listens on the socket.
pub(crate) async fn starts_socket(socket: &Path) -> bool {
    serves(socket) && control(&["start", SOCKET]).await
}

/// Whether the daemon on this socket is systemd's.
pub(crate) async fn keeps(socket: &Path) -> bool {
    serves(socket) && control(&["--quiet", "is-active", SOCKET]).await
}

/// What the daemon, and the `docker buildx` that it runs, never need. All of it works without namespaces, which user units do
/// not get everywhere: what hides or remounts folders (`ProtectSystem`, `PrivateTmp` and the like) would keep the unit from
/// starting there, and elsewhere hide the projects, the socket in `/tmp`, or who owns what.
const CONFINEMENT: &str = "\
# No program that it runs gets more rights than it has.
NoNewPrivileges=yes
RestrictSUIDSGID=yes
# The engine is reached by a unix socket or over a network; names are looked up by way of netlink.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
# What services do and clients may need; no clock, no modules, no mounts, no debugging of others.
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
# Not here: MemoryDenyWriteExecute, for credential helpers of docker that are compiled as they run; UMask, because folders
# that a compose file mounts and that are not there are made for the users of its containers. devd's own are 0700 and 0600.
";

/// Where docker is a snap, its launcher has to gain rights and to make namespaces: nothing of that can be taken away.
pub(crate) fn docker_is_a_snap(path: &OsStr) -> bool {
    let found = std::env::split_paths(path).map(|dir| dir.join("docker")).find(|file| file.exists());
    found.is_some_and(|file| {
        let real = file.canonicalize().unwrap_or_default();
        file.starts_with("/snap") || real.ends_with("snap") || real.starts_with("/snap")
    })
}

pub(crate) fn service_unit(program: &Path, environment: &[(String, String)], confined: bool) -> String {
    let confinement = if confined { CONFINEMENT } else { "" };
    let environment: String = environment
        .iter()
        .map(|(name, value)| format!("Environment={}\n", quote(&format!("{name}={value}"))))
        .collect();
    format!(
        "# {MARKER}
[Unit]
Description=devd keeps containerised dev services running and their tests current
Documentation=man:devd(1)
Requires={SOCKET}
After={SOCKET}

[Service]
Type=notify
ExecStart={}
{environment}Restart=on-failure
{confinement}# The services are the engine's processes: they outlive devdd, and the next one takes them over.

[Install]
WantedBy=default.target
",
        quote_program(program)
    )
}

pub(crate) fn socket_unit(socket: Option<&Path>) -> String {
    let listen = socket.map_or_else(|| "%t/devd/devd.sock".to_owned(), escape);
    format!(
        "# {MARKER}
[Unit]
Description=The socket of devd
Documentation=man:devd(1)

[Socket]
ListenStream={listen}
SocketMode=0600
DirectoryMode=0700

[Install]
WantedBy=sockets.target
"
    )
}

/// systemd replaces `%x` nearly everywhere.
fn escape(path: &Path) -> String {
    path.display().to_string().replace('%', "%%")
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"))
}

/// The program of `ExecStart`: quoted, so that spaces work. `$` means nothing in it.
fn quote_program(program: &Path) -> String {
    quote(&program.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn the_service_is_ready_when_it_says_so_and_comes_back_when_it_dies() {
        let environment = [("DOCKER_HOST".to_owned(), "unix:///run/user/1000/docker.sock".to_owned())];
        expect![[r##"
            # Written by `devd install`; `devd uninstall` removes it.
            [Unit]
            Description=devd keeps containerised dev services running and their tests current
            Documentation=man:devd(1)
            Requires=devdd.socket
            After=devdd.socket

            [Service]
            Type=notify
            ExecStart="/opt/my \"tools\" 100%%/devdd"
            Environment="DOCKER_HOST=unix:///run/user/1000/docker.sock"
            Restart=on-failure
            # The services are the engine's processes: they outlive devdd, and the next one takes them over.

            [Install]
            WantedBy=default.target
        "##]]
        .assert_eq(&service_unit(Path::new("/opt/my \"tools\" 100%/devdd"), &environment, false));
    }

    /// Each line is one that systemd has, or a comment. What hides folders is not among them.
    #[test]
    fn the_service_is_confined_as_far_as_every_user_unit_can_be() {
        let [plain, confined] =
            [false, true].map(|confined| service_unit(Path::new("/devdd"), &[], confined));
        assert_eq!(confined.replace(CONFINEMENT, ""), plain);
        let keys = CONFINEMENT.lines().filter(|line| !line.starts_with('#'));
        let keys: Vec<&str> = keys.filter_map(|line| Some(line.split_once('=')?.0)).collect();
        let without_namespaces = [
            "NoNewPrivileges",
            "RestrictSUIDSGID",
            "RestrictAddressFamilies",
            "SystemCallArchitectures",
            "SystemCallFilter",
            "SystemCallErrorNumber",
            "RestrictNamespaces",
            "RestrictRealtime",
            "LockPersonality",
        ];
        assert_eq!(keys, without_namespaces);
    }

    #[test]
    fn a_docker_that_is_a_snap_is_known_by_its_launcher() {
        let dir = tempfile::tempdir().unwrap();
        let [snap, plain] = ["snapped", "plain"].map(|name| dir.path().join(name));
        for folder in [&snap, &plain] {
            std::fs::create_dir(folder).unwrap();
        }
        std::fs::write(dir.path().join("snap"), "").unwrap();
        std::os::unix::fs::symlink(dir.path().join("snap"), snap.join("docker")).unwrap();
        std::fs::write(plain.join("docker"), "").unwrap();
        let path = |folders: &[&PathBuf]| std::env::join_paths(folders).unwrap();
        assert!(docker_is_a_snap(&path(&[&snap, &plain])));
        assert!(!docker_is_a_snap(&path(&[&plain, &snap])));
        assert!(!docker_is_a_snap(OsStr::new("")));
    }

    #[test]
    fn the_socket_is_the_users_alone() {
        expect![[r#"
            # Written by `devd install`; `devd uninstall` removes it.
            [Unit]
            Description=The socket of devd
            Documentation=man:devd(1)

            [Socket]
            ListenStream=%t/devd/devd.sock
            SocketMode=0600
            DirectoryMode=0700

            [Install]
            WantedBy=sockets.target
        "#]]
        .assert_eq(&socket_unit(None));
        assert!(
            socket_unit(Some(Path::new("/tmp/a b/d%.sock"))).contains("\nListenStream=/tmp/a b/d%%.sock\n")
        );
    }
}
