//! Whoever follows what services write gets each line once and in order, whatever becomes of the containers.

use crate::support::{PATIENCE, World, docker, lines, service};
use std::process::Stdio;
use std::sync::mpsc::Receiver;

/// Says which life of which container it is, and counts.
const COMPOSE: &str = "
services:
  web:
    image: busybox:1
    environment:
      NAME: one
    command: sh -c 'echo >> /lives; while echo $$NAME $$(wc -l < /lives) $$((i += 1)); do sleep 0.01; done'
    stop_signal: KILL
  late:
    image: busybox:1
    command: sh -c 'echo late; sleep 1000'
    stop_signal: KILL
";

/// Reads on until a line is there.
fn until(heard: &mut Vec<String>, news: &Receiver<String>, wanted: &str) {
    while heard.last().is_none_or(|last| last != wanted) {
        let line = news.recv_timeout(PATIENCE);
        heard.push(line.unwrap_or_else(|_| panic!("no {wanted:?} in {heard:#?}")));
    }
}

#[test]
fn logs_are_followed_over_deaths_new_containers_and_stops_and_each_line_comes_once() {
    let mut world = World::empty();
    world.write("compose.yaml", COMPOSE);
    world.start();
    world.expect(0, &["up", "web"]);
    let mut client =
        world.command(&["logs", "-f", "--no-log-prefix"]).stdout(Stdio::piped()).spawn().unwrap();
    let news = lines(client.stdout.take().unwrap());
    let mut heard = Vec::new();

    until(&mut heard, &news, "one 1 20");
    docker(&["kill", &world.container("web")]);
    until(&mut heard, &news, "one 2 20");
    let both = docker(&["logs", &world.container("web")]);
    docker(&["restart", &world.container("web")]);
    until(&mut heard, &news, "one 3 20");

    world.replace("compose.yaml", "NAME: one", "NAME: two");
    until(&mut heard, &news, "two 1 20");
    world.expect(0, &["stop", "web"]);
    world.expect(0, &["start", "web"]);
    until(&mut heard, &news, "two 2 20");
    docker(&["rm", "-f", &world.container("web")]);
    world.until("back", |status| service(status, "web")["state"] == "running");
    world.expect(0, &["start", "late"]);
    until(&mut heard, &news, "late");
    world.expect(0, &["down"]);
    assert!(client.wait().unwrap().success());
    assert_eq!(world.leftovers(), "");

    heard.extend(news.try_iter());
    heard.retain(|line| line != "late");
    let both: Vec<&str> = both.lines().collect();
    assert_eq!(heard[..both.len()], both);
    let mut lives: Vec<(String, Vec<u32>)> = Vec::new();
    for line in &heard {
        let (life, number) = line.rsplit_once(' ').unwrap();
        if lives.last().is_none_or(|(last, _)| last != life) {
            lives.push((life.to_owned(), Vec::new()));
        }
        lives.last_mut().unwrap().1.push(number.parse().unwrap());
    }
    let names: Vec<&str> = lives.iter().map(|(life, _)| life.as_str()).collect();
    assert_eq!(names, ["one 1", "one 2", "one 3", "two 1", "two 2", "two 1"]);
    for (life, numbers) in &lives {
        let all: Vec<u32> = (1..).take(numbers.len()).collect();
        assert_eq!(*numbers, all, "of {life}");
    }
}
