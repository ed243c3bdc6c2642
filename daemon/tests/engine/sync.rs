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

#[test]
fn an_image_without_a_shell_and_a_user_without_rights_are_synced_all_the_same() {
    let mut world = World::empty();
    let port = free_port();
    world.write(
        "compose.yaml",
        &format!(
            "services:\n  web:\n    build: ./web\n    ports: ['{port}:8080']\n    user: '1000:1000'\n    stop_signal: KILL\n    \
             environment: {{VERSION: one}}\n    develop:\n      watch:\n        \
             - {{ path: ./pages, action: sync, target: /www, initial_sync: true, ignore: [drafts/] }}\n        \
             - {{ path: ./more, action: sync, target: /www/more }}\n"
        ),
    );
    world.write(
        "web/Dockerfile",
        "FROM busybox:1 AS tools\nFROM scratch\nCOPY --from=tools /bin/busybox /httpd\nCOPY old.html /www/\n\
         CMD [\"/httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]\n",
    );
    world.write("web/old.html", "from the image");
    world.write("pages/index.html", "first");
    world.write("pages/gone.html", "still here");
    world.write("pages/drafts/page.html", "not yet");
    world.write("more/page.html", "not asked for");
    world.start();
    world.expect(0, &["up"]);
    let first = world.service("web")["container"]["id"].clone();
    let page = |path: &str, end: &str| world.until_served(port, path, |answer| answer.ends_with(end));
    let missing = |path: &str| world.until_served(port, path, |answer| answer.contains("404"));
    page("/", "first");
    page("/old.html", "from the image");
    missing("/drafts/page.html");
    missing("/more/page.html");

    world.write("pages/index.html", "second");
    page("/", "second");
    world.write("more/page.html", "more");
    page("/more/page.html", "more");
    page("/gone.html", "still here");
    std::fs::remove_file(world.root.join("pages/gone.html")).unwrap();
    missing("/gone.html");
    assert_eq!(world.service("web")["container"]["id"], first, "the container was replaced");

    // Another container of the same image has all that was copied into this one.
    world.replace("compose.yaml", "VERSION: one", "VERSION: two");
    world.until("made anew", |status| {
        let web = &status["services"][0];
        web["container"]["id"] != first && web["state"] == "running" && status["settled"] == true
    });
    page("/", "second");
    page("/more/page.html", "more");
    missing("/gone.html");
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}
