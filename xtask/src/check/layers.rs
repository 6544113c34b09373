//! The one direction of knowledge, read from `cargo metadata`: what a crate declares, whether a feature uses it or
//! not.

use anyhow::{Result, bail};

use crate::cargo_metadata::{Dependency, Kind, Member, Workspace};
use crate::family::{self, ARROWS};

/// Fails with every arrow that points beside or above.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    for name in family::crates() {
        workspace.member(name)?;
    }
    let wrong = wrong_arrows(workspace.members());
    if !wrong.is_empty() {
        bail!("{}", wrong.join("; "));
    }
    Ok(())
}

/// One sentence per dependency that must not be.
fn wrong_arrows(members: &[Member]) -> Vec<String> {
    let published = members.iter().filter(|member| member.published);
    published
        .flat_map(|member| member.dependencies.iter().filter_map(|to| objection(members, member, to)))
        .collect()
}

/// Why `from` may not depend on `to`, if so.
fn objection(members: &[Member], from: &Member, to: &Dependency) -> Option<String> {
    let local = members.iter().find(|member| member.name == to.name)?;
    let arrow = format!("{} -> {} in [{}]", from.name, to.name, to.kind.table());
    if local.name == from.name {
        let dropped_on_packaging = to.kind == Kind::Dev && to.path_only;
        return (!dropped_on_packaging)
            .then(|| format!("{arrow}: a crate may have itself as path-only dev-dependency, nothing else"));
    }
    if !local.published {
        return Some(format!("{arrow}: a published crate may not depend on an unpublished one"));
    }
    let Some((_, below)) = ARROWS.iter().find(|(name, _)| *name == from.name) else {
        return Some(format!("{arrow}: {} has no place in the layers yet", from.name));
    };
    (!below.contains(&to.name.as_str())).then(|| match below {
        [] => format!("{arrow}: it may depend on no crate of the family"),
        below => format!("{arrow}: it may depend on {} alone", below.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A workspace with all crates of the family, an example, and `dependency` planted in `from`.
    fn planted(from: &str, dependency: &Value) -> Vec<String> {
        let packages: Vec<Value> = family::crates()
            .chain(["quickstart"])
            .map(|name| {
                json!({
                    "name": name, "manifest_path": format!("/w/{name}/Cargo.toml"), "features": {},
                    "publish": if name == "quickstart" { json!([]) } else { Value::Null },
                    "dependencies": if name == from { json!([dependency]) } else { json!([]) },
                })
            })
            .collect();
        let metadata =
            json!({ "workspace_root": "/w", "target_directory": "/w/target", "packages": packages });
        wrong_arrows(Workspace::parse(&metadata).unwrap().members())
    }

    fn arrow(to: &str, kind: &Value) -> Value {
        json!({ "name": to, "kind": kind, "req": "^0.1", "path": format!("/w/{to}") })
    }

    #[test]
    fn each_pair_of_crates_is_allowed_exactly_as_drawn() {
        for (from, below) in ARROWS {
            for to in family::crates().filter(|to| *to != from) {
                for kind in [Value::Null, json!("dev"), json!("build")] {
                    let wrong = planted(from, &arrow(to, &kind));
                    assert_eq!(wrong.is_empty(), below.contains(&to), "{from} -> {to} {kind}: {wrong:?}");
                }
            }
        }
    }

    #[test]
    fn the_message_names_the_arrow_and_the_table() {
        assert_eq!(
            planted("ota-slots", &arrow("ota-agent", &json!("dev"))),
            ["ota-slots -> ota-agent in [dev-dependencies]: it may depend on ota-manifest, ota-verify alone"]
        );
        assert_eq!(
            planted("ota-manifest", &arrow("ota-verify", &Value::Null)),
            ["ota-manifest -> ota-verify in [dependencies]: it may depend on no crate of the family"]
        );
    }

    #[test]
    fn a_crate_may_have_itself_as_path_only_dev_dependency_and_in_no_other_way() {
        let itself =
            |kind: &str, req: &str| json!({ "name": "ota-slots", "kind": kind, "req": req, "path": "/w" });
        assert!(planted("ota-slots", &itself("dev", "*")).is_empty());
        assert_eq!(planted("ota-slots", &itself("dev", "^0.1")).len(), 1);
        assert_eq!(planted("ota-slots", &itself("build", "*")).len(), 1);
    }

    #[test]
    fn a_published_crate_never_depends_on_an_example() {
        let wrong = planted("ota-server-core", &arrow("quickstart", &json!("dev")));
        assert_eq!(wrong.len(), 1);
        assert!(wrong[0].contains("may not depend on an unpublished one"), "{wrong:?}");
    }

    #[test]
    fn an_example_and_an_outside_crate_are_free() {
        assert!(planted("quickstart", &arrow("ota-agent", &Value::Null)).is_empty());
        let outside = json!({ "name": "serde", "kind": null, "req": "^1", "path": null });
        assert!(planted("ota-manifest", &outside).is_empty());
    }
}
