//! Build contexts that are not on this machine's disk.

use crate::build::spec;
use crate::buildx::{NO_BUILDX, has_buildx};
use crate::stage::staged_with;
use devd_compose::model::Build;
use devdd::engine::spec::Act;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;

/// Serves a context for as long as the process lives; its URL.
fn serve(files: &[(&str, &str)]) -> String {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    let archive = archive.into_inner().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/context.tar", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head = lines.next().and_then(Result::ok).unwrap_or_default().starts_with("HEAD");
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let headers = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                archive.len()
            );
            // Whoever hangs up has its reasons.
            let _ = stream.write_all(headers.as_bytes());
            let _ = if head { Ok(()) } else { stream.write_all(&archive) };
        }
    });
    url
}

#[tokio::test]
async fn a_context_may_be_a_url() {
    for buildkit in ["0", "1"] {
        if buildkit == "1" && !has_buildx() {
            println!("{NO_BUILDX}");
            return;
        }
        let url = serve(&[("dev/Dockerfile", "FROM busybox:1\nCOPY text /text\n"), ("text", "from afar\n")]);
        staged_with(buildkit, &format!("remote-{buildkit}"), |stage| async move {
            let dockerfile = Some("dev/Dockerfile".to_owned());
            let build = Build { remote: true, dockerfile, ..Build::default() };
            let spec = spec(&stage, Path::new(&url), build);
            stage.act(Act::Build(Box::new(spec.clone()))).await.unwrap();
            let container = stage.create(stage.container("web", &spec.tag, &["cat", "/text"])).await;
            let (code, out, _) = stage.run(&container).await.unwrap();
            assert_eq!((code, out.as_slice()), (0, b"from afar\n".as_slice()));

            let gone = devdd::engine::spec::BuildSpec {
                build: Build { context: "http://127.0.0.1:1/gone.tar".into(), ..spec.build.clone() },
                ..spec
            };
            let error = stage.act(Act::Build(Box::new(gone))).await.unwrap_err().to_string();
            assert!(error.contains("127.0.0.1:1"), "{error}");
        })
        .await;
    }
}
