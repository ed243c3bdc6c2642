//! A collector of traces: HTTP by hand, and as much of protobuf as it takes.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

pub(crate) struct Collector {
    address: SocketAddr,
    requests: Receiver<Request>,
}

/// What was sent at once.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) trace: Vec<u8>,
    pub(crate) id: Vec<u8>,
    /// Empty for a root.
    pub(crate) parent: Vec<u8>,
    pub(crate) name: String,
    pub(crate) begins: u64,
    pub(crate) ends: u64,
    attributes: BTreeMap<String, String>,
    pub(crate) events: Vec<String>,
}

impl Collector {
    pub(crate) fn begin() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut reader = BufReader::new(stream.unwrap());
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let path = line.split(' ').nth(1).unwrap().to_owned();
                let mut length = 0;
                while line != "\r\n" {
                    line.clear();
                    reader.read_line(&mut line).unwrap();
                    if let Some((name, value)) = line.split_once(':')
                        && name.eq_ignore_ascii_case("content-length")
                    {
                        length = value.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                // First, so that it is there when the daemon has got its answer.
                let _ = sender.send(Request { path, body });
                reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
            }
        });
        Self { address, requests }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has come.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let first = self.requests.recv_timeout(Duration::from_secs(60)).expect("nothing was sent");
        [first].into_iter().chain(self.requests.try_iter()).collect()
    }
}

impl Request {
    /// All spans, by `ExportTraceServiceRequest` of OpenTelemetry's `trace_service.proto`.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let message = fields(&self.body);
        let groups = message.of(1).map(fields);
        let scopes = groups.flat_map(|group| group.of(2).map(fields).collect::<Vec<_>>());
        scopes.flat_map(|scope| scope.of(2).map(span).collect::<Vec<_>>()).collect()
    }

    /// Who sends.
    pub(crate) fn service(&self) -> String {
        let resource = fields(fields(fields(&self.body).of(1).next().unwrap()).of(1).next().unwrap());
        attributes(&resource, 1)["service.name"].clone()
    }
}

impl Span {
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }
}

fn span(bytes: &[u8]) -> Span {
    let message = fields(bytes);
    let first = |number| message.of(number).next().unwrap_or_default().to_vec();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Span {
        trace: first(1),
        id: first(2),
        parent: first(4),
        name: text(&first(5)),
        begins: message.number(7),
        ends: message.number(8),
        attributes: attributes(&message, 9),
        events: message.of(11).map(|event| text(fields(event).of(2).next().unwrap())).collect(),
    }
}

fn attributes(message: &Fields<'_>, number: u64) -> BTreeMap<String, String> {
    let pair = |bytes| {
        let pair = fields(bytes);
        let value = fields(pair.of(2).next().unwrap());
        let text = value.of(1).next().map(|text| String::from_utf8(text.to_vec()).unwrap());
        let key = String::from_utf8(pair.of(1).next().unwrap().to_vec()).unwrap();
        (key, text.unwrap_or_else(|| value.number(3).to_string()))
    };
    message.of(number).map(pair).collect()
}

/// A message of protobuf: the number of each field and what it holds, which is bytes or a number.
#[derive(Default)]
struct Fields<'a> {
    bytes: Vec<(u64, &'a [u8])>,
    numbers: Vec<(u64, u64)>,
}

impl<'a> Fields<'a> {
    fn of(&self, number: u64) -> impl Iterator<Item = &'a [u8]> {
        self.bytes.iter().filter(move |field| field.0 == number).map(|field| field.1)
    }

    fn number(&self, number: u64) -> u64 {
        self.numbers.iter().find(|field| field.0 == number).map_or(0, |field| field.1)
    }
}

fn fields(mut rest: &[u8]) -> Fields<'_> {
    let mut found = Fields::default();
    while !rest.is_empty() {
        let tag = varint(&mut rest);
        let number = tag >> 3;
        match tag & 7 {
            0 => found.numbers.push((number, varint(&mut rest))),
            1 => {
                let (value, after) = rest.split_first_chunk::<8>().unwrap();
                found.numbers.push((number, u64::from_le_bytes(*value)));
                rest = after;
            }
            2 => {
                let length = usize::try_from(varint(&mut rest)).unwrap();
                let (value, after) = rest.split_at(length);
                found.bytes.push((number, value));
                rest = after;
            }
            5 => rest = &rest[4..],
            kind => panic!("no kind of field: {kind}"),
        }
    }
    found
}

fn varint(rest: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (byte, after) = rest.split_first().unwrap();
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return value;
        }
    }
}
