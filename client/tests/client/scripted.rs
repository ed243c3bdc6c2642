//! A daemon that says what a test wrote down for it, and remembers what it was asked.

use devd_proto::frame::{Kind, encode};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// `GET /v1/status`.
    pub(crate) line: String,
    pub(crate) body: String,
}

/// What is answered.
pub(crate) enum Reply {
    /// A body of this type.
    Body(u16, &'static str, String),
    /// These parts, and then the connection stays open until the client closes it.
    Open(&'static str, Vec<String>),
    /// The same from a daemon of this version.
    Of(&'static str, Box<Reply>),
    /// `101`, then these bytes at once, and the others when the client's input has ended.
    Upgrade { at_once: Vec<u8>, at_end_of_input: Vec<u8> },
}

pub(crate) fn json(value: &serde_json::Value) -> Reply {
    Reply::Body(200, "application/json", value.to_string())
}

pub(crate) fn problem(value: &serde_json::Value) -> Reply {
    let status = u16::try_from(value["status"].as_u64().unwrap()).unwrap();
    Reply::Body(status, "application/problem+json", value.to_string())
}

pub(crate) fn text(text: &str) -> Reply {
    Reply::Body(200, "text/plain", text.to_owned())
}

pub(crate) fn lines(values: &[serde_json::Value]) -> Reply {
    let text: String = values.iter().map(|value| format!("{value}\n")).collect();
    Reply::Body(200, "application/x-ndjson", text)
}

pub(crate) fn events(values: &[serde_json::Value]) -> Reply {
    let messages = values.iter().map(|v| format!("id: {}\nevent: {}\ndata: {v}\n\n", v["id"], v["kind"]));
    Reply::Open("text/event-stream", messages.collect())
}

/// Listens for as long as the test process lives; every request is also sent to the receiver.
pub(crate) fn listen(
    socket: &Path,
    answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
) -> Receiver<Asked> {
    let answer = Arc::new(answer);
    let listener = UnixListener::bind(socket).unwrap();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (sender, answer) = (sender.clone(), Arc::clone(&answer));
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.unwrap());
                while let Some(asked) = read(&mut reader) {
                    // The test may have seen enough.
                    _ = sender.send(asked.clone());
                    if let Some(input) = reply(reader.get_mut(), answer(&asked)) {
                        _ = sender.send(Asked { line: "INPUT".to_owned(), body: input });
                    }
                }
            });
        }
    });
    receiver
}

fn read(reader: &mut BufReader<UnixStream>) -> Option<Asked> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let length =
        head.iter().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let line = head.first()?.trim_end_matches(" HTTP/1.1").to_owned();
    Some(Asked { line, body: String::from_utf8(body).ok()? })
}

fn reply(stream: &mut UnixStream, reply: Reply) -> Option<String> {
    let (reply, version) = match reply {
        Reply::Of(version, reply) => (*reply, format!("devd-version: {version}\r\n")),
        reply => (reply, String::new()),
    };
    // A client that has gone is for the test to notice.
    match reply {
        Reply::Body(status, kind, body) => {
            let head = format!(
                "HTTP/1.1 {status} X\r\n{version}content-type: {kind}\r\ncontent-length: {}",
                body.len()
            );
            _ = stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes());
            None
        }
        Reply::Open(kind, parts) => {
            let head =
                format!("HTTP/1.1 200 X\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n");
            _ = stream.write_all(head.as_bytes());
            for part in parts {
                _ = stream.write_all(format!("{:x}\r\n{part}\r\n", part.len()).as_bytes());
            }
            None
        }
        Reply::Of(..) => None,
        Reply::Upgrade { at_once, at_end_of_input } => {
            let head = "HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: devd-exec\r\n\r\n";
            _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&at_once));
            let end = encode(Kind::StdinEnd, &[]);
            let (mut input, mut byte) = (Vec::new(), [0]);
            while !input.ends_with(&end) && stream.read_exact(&mut byte).is_ok() {
                input.extend(byte);
            }
            _ = stream.write_all(&at_end_of_input);
            Some(String::from_utf8_lossy(&input).into_owned())
        }
    }
}
