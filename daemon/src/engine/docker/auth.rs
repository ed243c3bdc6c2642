//! Logins to registries, as `docker login` keeps them in its configuration file. What a credential helper keeps is not
//! read yet.

use serde_json::{Map, Value, json};
use std::path::Path;

/// Where Docker Hub's login is kept.
const HUB: &str = "https://index.docker.io/v1/";

/// The header `X-Registry-Auth` for an image: its registry's login, or an empty one.
pub(super) fn header_for(config_dir: Option<&Path>, image: &str) -> String {
    let registry = registry_of(image);
    let login = logins(config_dir).into_iter().find(|(server, _)| host_of(server) == host_of(registry));
    encode(login.map_or_else(|| json!({}), |(_, login)| login).to_string().as_bytes())
}

/// The header `X-Registry-Config` for a build, which may pull from any registry; none without logins.
pub(super) fn header_for_all(config_dir: Option<&Path>) -> Option<String> {
    let logins: Map<String, Value> = logins(config_dir).into_iter().collect();
    (!logins.is_empty()).then(|| encode(Value::Object(logins).to_string().as_bytes()))
}

fn logins(config_dir: Option<&Path>) -> Vec<(String, Value)> {
    let Some(text) = config_dir.and_then(|dir| std::fs::read(dir.join("config.json")).ok()) else {
        return Vec::new();
    };
    let config: Value = serde_json::from_slice(&text).unwrap_or_default();
    let Some(auths) = config.get("auths").and_then(Value::as_object) else { return Vec::new() };
    auths.iter().filter_map(|(server, entry)| Some((server.clone(), login(server, entry)?))).collect()
}

fn login(server: &str, entry: &Value) -> Option<Value> {
    let text = |name| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(token) = text("identitytoken") {
        return Some(json!({ "identitytoken": token, "serveraddress": server }));
    }
    let decoded = String::from_utf8(decode(text("auth")?)?).ok()?;
    let (username, password) = decoded.split_once(':')?;
    Some(
        json!({ "username": username, "password": password.trim_end_matches('\0'), "serveraddress": server }),
    )
}

/// The registry of a reference: what stands before the first slash, if it looks like a host.
fn registry_of(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => HUB,
    }
}

/// `https://host/v1/` and `host` are the same registry; so are the names of Docker Hub.
fn host_of(server: &str) -> &str {
    let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
    let host = rest.split_once('/').map_or(rest, |(host, _)| host);
    match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        other => other,
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Base64 with the alphabet for URLs, as the engine wants its headers.
fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group =
            chunk.iter().chain(&[0; 2]).take(3).fold(0, |group, byte| group << 8 | usize::from(*byte));
        for place in 0..4 {
            let digit = DIGITS.get(group >> (18 - 6 * place) & 63).copied().unwrap_or(b'A');
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// Base64 with the usual alphabet, as the configuration file has it.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut group, mut bits) = (0_u32, 0);
    for digit in text.trim().trim_end_matches('=').bytes() {
        let digit = match digit {
            b'+' => b'-',
            b'/' => b'_',
            other => other,
        };
        let value = DIGITS.iter().position(|known| *known == digit)?;
        group = group << 6 | u32::try_from(value).ok()?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(group >> bits & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_goes_both_ways() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("user:pä??>", "dXNlcjpww6Q_Pz4=")]
        {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).unwrap(), bytes.as_bytes());
        }
        assert_eq!(decode("Pz8+"), Some(b"??>".to_vec()));
        assert_eq!(decode("a b"), None);
    }

    #[test]
    fn a_login_is_found_by_its_registry() {
        let dir = tempfile::tempdir().unwrap();
        let config = json!({ "auths": {
            HUB: { "auth": "bWU6c2VjcmV0" },
            "reg.example:5000": { "identitytoken": "t" },
            "helped.example": {},
        } });
        std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        let of = |image| String::from_utf8(decode(&header_for(Some(dir.path()), image)).unwrap()).unwrap();
        for image in ["redis:7", "me/app", "docker.io/library/redis"] {
            let login: Value = serde_json::from_str(&of(image)).unwrap();
            assert_eq!(
                login,
                json!({ "username": "me", "password": "secret", "serveraddress": HUB }),
                "{image}"
            );
        }
        assert!(of("reg.example:5000/x").contains("identitytoken"));
        assert_eq!(of("helped.example/x"), "{}");
        assert_eq!(header_for_all(None), None);
        assert!(header_for_all(Some(dir.path())).is_some());
    }
}
