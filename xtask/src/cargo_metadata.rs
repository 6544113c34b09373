//! The workspace as cargo sees it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command::CommandLine;

/// The members of this workspace and where it lives.
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
    members: Vec<Member>,
}

impl Workspace {
    /// Asks `cargo metadata`.
    ///
    /// # Errors
    ///
    /// When cargo fails (a broken `Cargo.toml`) or answers in a shape not known here.
    pub(crate) fn load() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
        let json = CommandLine::cargo()
            .args(["metadata", "--format-version", "1", "--no-deps", "--manifest-path"])
            .arg(manifest)
            .output()?;
        Self::parse(&serde_json::from_str(&json).context("`cargo metadata` did not print JSON")?)
    }

    /// Reads the answer of `cargo metadata --format-version 1 --no-deps`.
    pub(crate) fn parse(metadata: &Value) -> Result<Self> {
        let packages = metadata["packages"].as_array().context("cargo metadata without packages")?;
        Ok(Self {
            root: text(metadata, "workspace_root")?.into(),
            target: text(metadata, "target_directory")?.into(),
            members: packages.iter().map(Member::parse).collect::<Result<_>>()?,
        })
    }

    /// The folder of the root `Cargo.toml`.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo builds to.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// All members.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member called `name`.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub(crate) fn member(&self, name: &str) -> Result<&Member> {
        let found = self.members.iter().find(|member| member.name == name);
        found.with_context(|| format!("{name} is not a member of the workspace"))
    }

    /// The lowest toolchain the published crates promise to build with, as rustup names it: `1.88.0`.
    ///
    /// # Errors
    ///
    /// When the lowest crate of the family declares no `rust-version`.
    pub(crate) fn msrv(&self) -> Result<String> {
        let member = self.member("ota-manifest")?;
        let Some(version) = &member.rust_version else {
            bail!("ota-manifest declares no rust-version");
        };
        let has_patch = version.matches('.').count() == 2;
        Ok(if has_patch { version.clone() } else { format!("{version}.0") })
    }
}

/// One package of the workspace.
pub(crate) struct Member {
    /// The package's name.
    pub(crate) name: String,
    /// The folder of its `Cargo.toml`.
    pub(crate) folder: PathBuf,
    /// False for `publish = false`.
    pub(crate) published: bool,
    /// Declared features and those implied by optional dependencies, sorted.
    pub(crate) features: Vec<String>,
    /// Everything it depends on, of every kind.
    pub(crate) dependencies: Vec<Dependency>,
    rust_version: Option<String>,
}

impl Member {
    fn parse(package: &Value) -> Result<Self> {
        let features = package["features"].as_object().context("a package without features")?;
        let dependencies = package["dependencies"].as_array().context("a package without dependencies")?;
        let manifest = PathBuf::from(text(package, "manifest_path")?);
        Ok(Self {
            name: text(package, "name")?,
            folder: manifest.parent().context("a manifest path without a folder")?.to_owned(),
            published: package["publish"].as_array().is_none_or(|registries| !registries.is_empty()),
            features: features.keys().cloned().collect(),
            dependencies: dependencies.iter().map(Dependency::parse).collect::<Result<_>>()?,
            rust_version: package["rust_version"].as_str().map(str::to_owned),
        })
    }
}

/// One line of a `[dependencies]` table; `name` is the package's, whatever the line renames it to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    /// The package depended on.
    pub(crate) name: String,
    /// Which table it stands in.
    pub(crate) kind: Kind,
    /// A path without a version: such a dev-dependency is dropped when the crate is packaged.
    pub(crate) path_only: bool,
}

impl Dependency {
    fn parse(dependency: &Value) -> Result<Self> {
        let kind = match dependency["kind"].as_str() {
            None => Kind::Normal,
            Some("dev") => Kind::Dev,
            Some("build") => Kind::Build,
            Some(other) => bail!("cargo metadata names an unknown kind of dependency: {other}"),
        };
        let path_only = dependency["path"].is_string() && dependency["req"] == "*";
        Ok(Self { name: text(dependency, "name")?, kind, path_only })
    }
}

/// The table a dependency stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `[dependencies]`
    Normal,
    /// `[build-dependencies]`
    Build,
    /// `[dev-dependencies]`
    Dev,
}

impl Kind {
    /// The table's name in `Cargo.toml`.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Normal => "dependencies",
            Self::Build => "build-dependencies",
            Self::Dev => "dev-dependencies",
        }
    }
}

fn text(value: &Value, key: &str) -> Result<String> {
    let text = value[key].as_str().with_context(|| format!("cargo metadata without {key}"))?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_features_and_dependencies_are_read() {
        let workspace = Workspace::parse(&json!({
            "workspace_root": "/w", "target_directory": "/w/target",
            "packages": [{
                "name": "ota-manifest", "manifest_path": "/w/ota-manifest/Cargo.toml", "publish": null,
                "rust_version": "1.88", "features": { "wire": [], "default": [] },
                "dependencies": [
                    { "name": "serde", "kind": null, "req": "^1", "path": null },
                    { "name": "ota-manifest", "kind": "dev", "req": "*", "path": "/w/ota-manifest" },
                ],
            }],
        }))
        .unwrap();
        let member = workspace.member("ota-manifest").unwrap();
        assert_eq!(member.folder, Path::new("/w/ota-manifest"));
        assert!(member.published);
        assert_eq!(member.features, ["default", "wire"]);
        assert_eq!(
            member.dependencies,
            [
                Dependency { name: "serde".into(), kind: Kind::Normal, path_only: false },
                Dependency { name: "ota-manifest".into(), kind: Kind::Dev, path_only: true },
            ]
        );
        assert_eq!(workspace.msrv().unwrap(), "1.88.0");
        assert_eq!(
            workspace.member("nobody").err().unwrap().to_string(),
            "nobody is not a member of the workspace"
        );
    }
}
