//! Clients that are many, slow, or half gone.

use super::{Done, a_while, answers_soon};
use crate::world::World;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Requests, each whole or broken off.
const REQUESTS: [&str; 6] = [
    "GET /v1/events HTTP/1.1\r\nHost: devd\r\n\r\n",
    "GET /v1/status HTTP/1.1\r\nHost: devd\r\n\r\n",
    "GET /v1/projects/torture/services/one/logs?follow=true HTTP/1.1\r\nHost: devd\r\n\r\n",
    "GET /v1/runs HTTP/1.1\r\nHost: devd\r\n\r\n",
    "GET /v1/sta",
    "POST /v1/saved HTTP/1.1\r\nHost: devd\r\nContent-Length: 1000\r\n\r\n{",
];

/// They read a byte now and then, or nothing, or say no more themselves.
pub(super) fn slow(world: &mut World) -> anyhow::Result<Done> {
    let mut clients = Vec::new();
    for number in 0..60 {
        let mut client = UnixStream::connect(world.daemon.socket())?;
        client.set_read_timeout(Some(Duration::from_millis(1)))?;
        client.set_write_timeout(Some(Duration::from_millis(100)))?;
        client.write_all(REQUESTS[number % REQUESTS.len()].as_bytes())?;
        if number % 4 == 0 {
            client.shutdown(Shutdown::Write)?;
        }
        // Many questions, no answer read.
        for _ in 0..(if number % 5 == 0 { 200 } else { 0 }) {
            if client.write_all(REQUESTS[1].as_bytes()).is_err() {
                break;
            }
        }
        clients.push(client);
    }
    let began = Instant::now();
    let lasts = world.chance.millis(1500, 4000);
    let mut problem = None;
    while began.elapsed() < lasts {
        for client in clients.iter_mut().step_by(3) {
            _ = client.read(&mut [0]);
        }
        problem = problem.or_else(|| answers_soon(world, "clients do not read"));
        std::thread::sleep(Duration::from_millis(200));
    }
    drop(clients);
    Ok(Done::now().but(problem))
}

pub(super) fn many(world: &mut World) -> anyhow::Result<Done> {
    let mut clients = Vec::new();
    for number in 0..1000 {
        let mut client = UnixStream::connect(world.daemon.socket())?;
        client.set_read_timeout(Some(Duration::from_secs(10)))?;
        let request = REQUESTS[usize::from(number % 2 == 0)];
        client.write_all(request.as_bytes())?;
        clients.push(client);
    }
    // Each gets an answer.
    let unanswered = clients.iter_mut().filter_map(|client| client.read_exact(&mut [0; 12]).err()).count();
    let mut problem = (unanswered > 0).then(|| format!("{unanswered} of 1,000 clients got no answer"));
    a_while(world, 300, 1500);
    problem = problem.or_else(|| answers_soon(world, "1,000 clients"));
    drop(clients);
    Ok(Done::now().but(problem))
}
