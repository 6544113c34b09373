//! Trust documents, made with `otactl`.

use std::path::PathBuf;

use linux_server::{Config, TrustOptions};
use tempfile::TempDir;

use crate::otactl::{otactl, said};
use crate::site::Site;

/// The machine that the root keys are on.
pub(crate) struct Ceremony {
    folder: TempDir,
    pub(crate) root: String,
}

impl Ceremony {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut ceremony = Self { folder, root: String::new() };
        ceremony.root = ceremony.make_key("root.key");
        ceremony
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The public half, in hexadecimal.
    pub(crate) fn make_key(&self, name: &str) -> String {
        said(otactl().args(["key", "make"]).arg(self.file(name)))
    }

    /// Signs a document with the root key, and adds it to the server.
    pub(crate) fn add(&self, site: &Site, version: u32, releases: &[&str]) {
        let file = self.file(&format!("trust-{version}.ota"));
        let mut make = otactl();
        make.args(["trust", "make"]).arg(&file).args(["--version", &version.to_string()]);
        make.args(["--key", &format!("root={}", self.root), "--sign"]).arg(self.file("root.key"));
        make.args(["--key", &format!("freshness={}", site.server().freshness_key())]);
        for key in releases {
            make.args(["--key", &format!("release={key}")]);
        }
        said(&mut make);
        site.otactl(&["trust", "add", file.to_str().unwrap()]);
    }

    pub(crate) fn trusts_root(&self, config: &mut Config) {
        config.trust = TrustOptions { root_keys: vec![self.root.parse().unwrap()], root_threshold: 1 };
    }
}
