//! Device code names neither `alloc` nor `std`, called or not, and looks at hardened verdicts in three places alone.
//!
//! The bare-metal checks see what is compiled with the features they switch on; this one reads every line that any
//! device build could contain. Code that only tests, the simulation, the standard library or the signing side can
//! switch on is free.

mod gate;
mod verdicts;
mod words;

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::cargo_metadata::Workspace;
use crate::family::DEVICE_CRATES;

/// Fails with every place that names `alloc` or `std`, or with the calls of `Hardened::of` if they are not where they
/// should be.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let (mut places, mut calls) = (Vec::new(), Vec::new());
    for name in DEVICE_CRATES {
        let folder = &workspace.member(name)?.folder;
        for (file, found) in read(&folder.join("src"))? {
            let file = file.strip_prefix(workspace.root()).unwrap_or(&file).display().to_string();
            places
                .extend(found.words.iter().map(|word| format!("{file}:{} names `{}`", word.line, word.name)));
            calls.extend(found.verdicts.into_iter().map(|line| (file.clone(), line)));
            if let Some(line) = found.aliases.first() {
                bail!("{file}:{line} gives `Hardened` another name, behind which its calls are not counted");
            }
        }
    }
    if !places.is_empty() {
        bail!("device code has no allocator and no standard library, but {}", places.join("; "));
    }
    verdicts::objection(&calls).map_or(Ok(()), |objection| bail!("{objection}"))
}

/// Follows the module tree from `lib.rs`, leaving out modules no device build contains.
fn read(src: &Path) -> Result<Vec<(PathBuf, words::Found)>> {
    let mut queue = VecDeque::from([(src.join("lib.rs"), src.to_owned())]);
    let mut findings = Vec::new();
    while let Some((path, folder)) = queue.pop_front() {
        let source = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = syn::parse_file(&source).with_context(|| format!("cannot parse {}", path.display()))?;
        let mut found = words::find(&file);
        for module in std::mem::take(&mut found.modules) {
            if module.has_path_attribute {
                bail!(
                    "{}: #[path] hides a file from this check; name the file after the module",
                    path.display()
                );
            }
            queue.push_back(locate(&folder, &module.path)?);
        }
        findings.push((path, found));
    }
    Ok(findings)
}

/// The file of module `path` below `folder`, and the folder of that module's own children.
fn locate(folder: &Path, path: &[String]) -> Result<(PathBuf, PathBuf)> {
    let children = path.iter().fold(folder.to_owned(), |folder, name| folder.join(name));
    let beside = children.with_extension("rs");
    let inside = children.join("mod.rs");
    let file = [beside, inside].into_iter().find(|file| file.is_file());
    Ok((file.with_context(|| format!("there is no file for module {}", children.display()))?, children))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::scratch::Folder;

    #[test]
    fn the_module_tree_is_followed_and_gated_modules_are_not() {
        let folder = Folder::new(
            "tree",
            &[
                ("lib.rs", "mod a; mod b; #[cfg(feature = \"sim\")] mod sim; #[cfg(test)] mod tests;"),
                ("a.rs", "mod deep { mod c; }"),
                ("a/deep/c.rs", "fn f() { let _ = 1; }\nfn g() -> alloc::vec::Vec<u8> { todo!() }"),
                ("b/mod.rs", "mod d;"),
                ("b/d.rs", "use std::fmt;"),
                ("sim.rs", "use std::collections::BTreeMap;"),
                ("tests.rs", "extern crate std;"),
            ],
        );
        let findings = read(&folder.0).unwrap();
        let places: Vec<_> = findings
            .iter()
            .flat_map(|(file, found)| {
                let file = file.strip_prefix(&folder.0).unwrap().display().to_string();
                found.words.iter().map(move |word| (file.clone(), word.line, word.name))
            })
            .collect();
        assert_eq!(places, [("a/deep/c.rs".into(), 2, "alloc"), ("b/d.rs".into(), 1, "std")]);
    }

    #[test]
    fn a_module_cannot_hide_behind_a_path_attribute() {
        let folder = Folder::new("path", &[("lib.rs", "#[path = \"x.rs\"] mod a;"), ("x.rs", "")]);
        assert!(read(&folder.0).err().unwrap().to_string().contains("#[path] hides a file"));
    }
}
