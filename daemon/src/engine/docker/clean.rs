//! An engine's messages without what concerns only its makers.

/// What engines put around the words that matter.
const NOISE: [&str; 13] = [
    "Error response from daemon: ",
    "OCI runtime create failed: ",
    "OCI runtime exec failed: ",
    "OCI runtime error: ",
    "failed to create shim task: ",
    "failed to create shim: ",
    "failed to create task for container: ",
    "failed to set up container networking: ",
    "runc create failed: ",
    "runc run failed: ",
    "exec failed: ",
    "unable to start container process: ",
    "starting container process caused: ",
];

/// A message for people: on its own line, without the layers it came through.
pub(super) fn clean(message: &str) -> String {
    let mut rest = message.trim();
    loop {
        let stripped =
            NOISE.iter().find_map(|noise| rest.strip_prefix(noise)).or_else(|| without_go_file(rest));
        let Some(stripped) = stripped else { break };
        rest = stripped.trim_start();
    }
    rest.strip_suffix(": unknown").unwrap_or(rest).trim().to_owned()
}

/// `container_linux.go:380: …`
fn without_go_file(text: &str) -> Option<&str> {
    let (place, rest) = text.split_once(": ")?;
    let (file, line) = place.rsplit_once(':')?;
    let is_place =
        file.ends_with(".go") && !file.contains(' ') && line.bytes().all(|byte| byte.is_ascii_digit());
    is_place.then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_taken_off() {
        for (message, cleaned) in [
            ("No such container: x\n", "No such container: x"),
            (
                "OCI runtime create failed: container_linux.go:380: starting container process caused: exec: \"nope\": \
                 executable file not found in $PATH: unknown",
                "exec: \"nope\": executable file not found in $PATH",
            ),
            (
                "failed to create task for container: failed to create shim task: OCI runtime create failed: runc \
                 create failed: unable to start container process: exec: \"x\": permission denied: unknown",
                "exec: \"x\": permission denied",
            ),
            ("a file.go:3: not a place", "a file.go:3: not a place"),
        ] {
            assert_eq!(clean(message), cleaned);
        }
    }
}
