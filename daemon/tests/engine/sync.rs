//! `develop.watch`: files copied into a container that mounts nothing.

use crate::support::{World, free_port};

#[test]
fn a_save_is_copied_a_deletion_is_removed_and_a_command_follows() {
    let mut world = World::empty();
    let port = free_port();
    world.write(
        "compose.yaml",
        &format!(
            "services:\n  web:\n    build: ./web\n    ports: ['{port}:80']\n    stop_signal: KILL\n    develop:\n      watch:\n        \
             - {{ path: ./web/www, action: sync, target: /www }}\n        \
             - {{ path: ./web/made, action: sync+exec, target: /made, exec: {{ command: cp /made/source /www/made.html }} }}\n"
        ),
    );
    world.write(
        "web/Dockerfile",
        "FROM busybox:1\nCOPY www /www\nCOPY made /made\nCMD [\"httpd\", \"-f\", \"-h\", \"/www\"]\n",
    );
    world.write("web/www/index.html", "first");
    world.write("web/www/old.html", "old");
    world.write("web/made/source", "unmade");
    world.start();
    world.expect(0, &["up"]);
    let before = world.service("web")["container"]["id"].clone();
    world.until_served(port, "/", |answer| answer.ends_with("first"));

    world.write("web/www/index.html", "second");
    world.until_served(port, "/", |answer| answer.ends_with("second"));
    world.write("web/www/new folder/page.html", "new");
    world.until_served(port, "/new%20folder/page.html", |answer| answer.ends_with("new"));
    std::fs::remove_file(world.root.join("web/www/old.html")).unwrap();
    world.until_served(port, "/old.html", |answer| answer.contains("404"));
    world.write("web/made/source", "made");
    world.until_served(port, "/made.html", |answer| answer.ends_with("made"));

    let web = world.service("web");
    assert_eq!(web["container"]["id"], before, "the container was replaced");
    assert_eq!(web["restarts"], 0, "{web:#}");
    assert_eq!(web["last_change"]["action"], "sync+exec", "{web:#}");
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}
