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

#[test]
fn each_action_does_what_it_says_also_through_links_and_for_several_rules_on_one_path() {
    let mut world = World::empty();
    let port = free_port();
    world.write(
        "compose.yaml",
        &format!(
            "services:\n  web:\n    build: ./web\n    ports: ['{port}:80']\n    stop_signal: KILL\n    develop:\n      watch:\n        \
             - {{ path: ./web/conf, action: sync+restart, target: /conf, include: [site.*] }}\n        \
             - {{ path: ./web/trigger, action: restart }}\n        \
             - {{ path: ./web/version, action: rebuild }}\n        \
             - {{ path: ./web/pages, action: sync, target: /www/one, ignore: ['*.tmp'] }}\n        \
             - {{ path: ./web/pages, action: sync, target: /www/two, include: ['*.html'] }}\n        \
             - {{ path: ./linked, action: sync, target: /www/linked }}\n"
        ),
    );
    world.write(
        "web/Dockerfile",
        "FROM busybox:1\nCOPY version /www/version\nCOPY conf /conf\n\
         CMD [\"sh\", \"-c\", \"echo start >> /www/starts; cp /conf/site.conf /www/conf; exec httpd -f -h /www\"]\n",
    );
    world.write("web/version", "1");
    world.write("web/conf/site.conf", "a");
    world.write("web/trigger/now", "");
    world.write("web/pages/index.html", "first");
    world.write("elsewhere/page.html", "one");
    std::os::unix::fs::symlink("elsewhere", world.root.join("linked")).unwrap();
    world.start();
    world.expect(0, &["up"]);
    let page = |path: &str, end: &str| world.until_served(port, path, |answer| answer.ends_with(end));
    let missing = |path: &str| world.until_served(port, path, |answer| answer.contains("404"));
    let first = world.service("web")["container"]["id"].clone();
    page("/starts", "\r\n\r\nstart\n");
    page("/conf", "a");

    world.write("web/conf/site.conf", "b");
    page("/conf", "b");
    page("/starts", "\r\n\r\nstart\nstart\n");
    world.write("web/trigger/now", "!");
    page("/starts", "\r\n\r\nstart\nstart\nstart\n");

    // One folder, two places, each by its own rule.
    world.write("web/pages/draft.tmp", "draft");
    world.write("web/pages/notes.txt", "notes");
    std::os::unix::fs::symlink("index.html", world.root.join("web/pages/alias.html")).unwrap();
    world.write("web/pages/index.html", "second");
    page("/one/index.html", "second");
    page("/two/index.html", "second");
    page("/one/notes.txt", "notes");
    page("/two/alias.html", "second");
    missing("/two/notes.txt");
    missing("/one/draft.tmp");
    // A link's folder is where the files are.
    world.write("elsewhere/page.html", "two");
    page("/linked/page.html", "two");
    let web = world.service("web");
    assert_eq!((&web["container"]["id"], &web["restarts"]), (&first, &serde_json::json!(2)), "{web:#}");

    world.write("web/version", "2");
    page("/version", "2");
    assert_ne!(world.service("web")["container"]["id"], first, "its image was not built again");
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}
