//! A registry of one image, in as many versions as a test likes: enough of the distribution API for `docker pull`.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

pub(crate) struct Registry {
    /// What to pull.
    pub(crate) image: String,
    base: BTreeMap<String, Vec<u8>>,
    shelf: Arc<Mutex<Shelf>>,
}

#[derive(Default)]
struct Shelf {
    manifest: Vec<u8>,
    blobs: BTreeMap<String, Vec<u8>>,
    pulls: usize,
}

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

impl Registry {
    /// Offers busybox under another name.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let image = format!("{}/devd-test/app:1", listener.local_addr().unwrap());
        let shelf = Arc::<Mutex<Shelf>>::default();
        let shelves = Arc::clone(&shelf);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away is the engine's business.
                let _ = answer(&stream, &shelves);
            }
        });
        Self { image, base: saved("busybox:1"), shelf }
    }

    /// Offers it with this as the value of the label `version`.
    pub(crate) fn offer(&self, version: &str) {
        let manifest: Value = serde_json::from_slice(&self.base["manifest.json"]).unwrap();
        let path = |value: &Value| value.as_str().unwrap().to_owned();
        let mut config: Value = serde_json::from_slice(&self.base[&path(&manifest[0]["Config"])]).unwrap();
        config["config"]["Labels"] = json!({ "version": version });
        let layers =
            manifest[0]["Layers"].as_array().unwrap().iter().map(|layer| self.base[&path(layer)].clone());
        let mut shelf = self.shelf.lock().unwrap();
        let mut put = |kind: &str, bytes: Vec<u8>| {
            let (digest, size) = (digest(&bytes), bytes.len());
            shelf.blobs.insert(digest.clone(), bytes);
            json!({ "mediaType": format!("application/vnd.docker.{kind}"), "size": size, "digest": digest })
        };
        let config = put("container.image.v1+json", serde_json::to_vec(&config).unwrap());
        let layers: Vec<Value> = layers.map(|layer| put("image.rootfs.diff.tar.gzip", layer)).collect();
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        shelf.manifest = serde_json::to_vec(&manifest).unwrap();
    }

    /// How often the manifest was asked for by its tag.
    pub(crate) fn pulls(&self) -> usize {
        self.shelf.lock().unwrap().pulls
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // The older ones have lost their tag.
        let repository =
            self.image.rsplit_once(':').map_or(self.image.as_str(), |(repository, _)| repository);
        let Ok(found) = Command::new("docker").args(["images", "-q", repository]).output() else { return };
        let ids = String::from_utf8_lossy(&found.stdout).into_owned();
        let _ = Command::new("docker").args(["rmi", "-f"]).args(ids.split_whitespace()).output();
    }
}

fn digest(bytes: &[u8]) -> String {
    let hex = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("sha256:{hex}")
}

/// The files of an image, as the engine saves it.
fn saved(image: &str) -> BTreeMap<String, Vec<u8>> {
    let mut save = Command::new("docker").args(["save", image]).stdout(Stdio::piped()).spawn().unwrap();
    let mut archive = tar::Archive::new(save.stdout.take().unwrap());
    let files = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().display().to_string(), bytes)
    });
    let files = files.collect();
    assert!(save.wait().unwrap().success());
    files
}

fn answer(mut stream: &TcpStream, shelf: &Mutex<Shelf>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut shelf = shelf.lock().unwrap();
    let name = path.rsplit('/').next().unwrap_or_default();
    let found = if path == "/v2/" {
        Some(("application/json", b"{}".to_vec()))
    } else if path.contains("/manifests/") {
        shelf.pulls += usize::from(!name.starts_with("sha256:"));
        Some((MANIFEST, shelf.manifest.clone()))
    } else {
        shelf.blobs.get(name).map(|blob| ("application/octet-stream", blob.clone()))
    };
    let Some((kind, body)) = found else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nDocker-Content-Digest: {}\r\nConnection: close\r\n\r\n",
        body.len(),
        digest(&body)
    );
    stream.write_all(head.as_bytes())?;
    if method == "HEAD" { Ok(()) } else { stream.write_all(&body) }
}
