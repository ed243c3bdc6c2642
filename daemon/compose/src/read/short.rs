//! The short forms: `KEY=VALUE`, `source:target:options`, `127.0.0.1:8080:80/tcp`.

use crate::model::PortRange;
use crate::node::Node;

/// At the first `=`; a key alone has no value.
pub(crate) fn split_pair(text: &str) -> (&str, Option<&str>) {
    match text.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (text, None),
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct ShortMount<'a> {
    pub(super) source: Option<&'a str>,
    pub(super) target: &'a str,
    pub(super) options: Vec<&'a str>,
}

pub(super) fn parse_mount(text: &str) -> Result<ShortMount<'_>, &'static str> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts.as_slice() {
        [target] => (None, *target, ""),
        [source, target] => (Some(*source), *target, ""),
        [source, target, options] => (Some(*source), *target, *options),
        _ => return Err("it has too many colons"),
    };
    if source.is_some_and(str::is_empty) {
        return Err("what to mount is missing");
    }
    if !target.starts_with('/') {
        return Err("the path in the container must start with `/`");
    }
    let options = options.split(',').filter(|option| !option.is_empty()).collect();
    Ok(ShortMount { source, target, options })
}

/// What a mount, short or long, replaces when files are merged: its place in the container.
pub(crate) fn mount_target(node: &Node) -> Option<String> {
    let target = match node.as_text() {
        Some(text) => text.split(':').nth(1).unwrap_or(text),
        None => node.get("target")?.value.as_text()?,
    };
    Some(clean_target(target))
}

/// A path in the container without superfluous parts.
pub(super) fn clean_target(target: &str) -> String {
    if !target.starts_with('/') {
        return target.to_owned();
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct ShortPort {
    pub(super) host_ip: Option<String>,
    /// One for each target, or one for all.
    pub(super) published: Option<PortRange>,
    pub(super) target: PortRange,
    pub(super) protocol: String,
}

pub(super) fn parse_port(text: &str) -> Result<ShortPort, String> {
    let (rest, protocol) = match text.rsplit_once('/') {
        Some((rest, protocol)) => (rest, protocol.to_ascii_lowercase()),
        None => (text, "tcp".to_owned()),
    };
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(format!("`{protocol}` is not a protocol; known are tcp, udp and sctp"));
    }
    let (rest, target) = rest.rsplit_once(':').map_or((None, rest), |(rest, target)| (Some(rest), target));
    let target = parse_range(target).ok_or_else(|| format!("`{target}` is not a port in the container"))?;
    let (host_ip, published) = match rest {
        None => (None, ""),
        Some(rest) => match rest.rsplit_once(':') {
            Some((ip, published)) => (Some(ip), published),
            None => (None, rest),
        },
    };
    let host_ip = match host_ip {
        None | Some("") => None,
        Some(ip) => {
            let bare = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
            if bare == ip && ip.contains(':') && ip.parse::<std::net::IpAddr>().is_ok() {
                return Err(format!("`{ip}` must be in brackets: `[{ip}]`"));
            }
            let parsed: Result<std::net::IpAddr, _> = bare.parse();
            Some(parsed.map(|_| bare.to_owned()).map_err(|_| format!("`{ip}` is not an IP address"))?)
        }
    };
    let published = match published {
        "" => None,
        text => Some(parse_range(text).ok_or_else(|| format!("`{text}` is not a port of the host"))?),
    };
    let count = |range: PortRange| range.last - range.first;
    if let Some(published) = published
        && target.first != target.last
        && count(published) != count(target)
    {
        return Err(format!("the ranges `{published}` and `{target}` are not of the same length"));
    }
    Ok(ShortPort { host_ip, published, target, protocol })
}

/// `80` or `80-89`.
pub(super) fn parse_range(text: &str) -> Option<PortRange> {
    let number = |text: &str| -> Option<u16> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { text.parse().ok() } else { None }
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(text)?, number(text)?),
    };
    (first <= last).then_some(PortRange { first, last })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_in_every_form() {
        for (text, expected) in [
            ("80", "-|-|80|tcp"),
            ("8080:80", "-|8080|80|tcp"),
            ("127.0.0.1:8080:80/udp", "127.0.0.1|8080|80|udp"),
            ("127.0.0.1::80", "127.0.0.1|-|80|tcp"),
            ("[::1]:8080:80", "::1|8080|80|tcp"),
            ("3000-3005", "-|-|3000-3005|tcp"),
            ("9090-9091:8080-8081", "-|9090-9091|8080-8081|tcp"),
            ("18110-18112:7000/UDP", "-|18110-18112|7000|udp"),
        ] {
            let port = parse_port(text).map(|port| {
                let published = port.published.map_or("-".to_owned(), |range| range.to_string());
                let ip = port.host_ip.unwrap_or_else(|| "-".to_owned());
                format!("{ip}|{published}|{}|{}", port.target, port.protocol)
            });
            assert_eq!(port.as_deref(), Ok(expected), "{text}");
        }
        for text in ["", "a", "abc:80", "80:", "1-3:1-2", "9-8", "80/x", "x:1:1", "70000", "+80", "1:2:3:4"] {
            assert!(parse_port(text).is_err(), "{text}");
        }
    }

    #[test]
    fn mounts_in_every_form() {
        let mount = |source, target, options| Ok(ShortMount { source, target, options });
        assert_eq!(parse_mount("/a"), mount(None, "/a", vec![]));
        assert_eq!(parse_mount("Service 1:/a"), mount(Some("Service 1"), "/a", vec![]));
        assert_eq!(parse_mount("./x:/a:ro,z"), mount(Some("./x"), "/a", vec!["ro", "z"]));
        for text in ["", "a", "a:b", ":/a", "a:/b:c:d"] {
            assert!(parse_mount(text).is_err(), "{text}");
        }
        assert_eq!(clean_target("/a//b/../c/./"), "/a/c");
        assert_eq!(clean_target("/"), "/");
    }
}
