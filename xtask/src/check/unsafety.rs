//! Every published crate starts with `#![forbid(unsafe_code)]`: `forbid` cannot be lifted further down, so the one
//! line speaks for the whole crate.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::cargo_metadata::Workspace;
use crate::family;

/// Fails with the crates that do not forbid unsafe code.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    for name in family::crates() {
        let path = workspace.member(name)?.folder.join("src/lib.rs");
        let source = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = syn::parse_file(&source).with_context(|| format!("cannot parse {}", path.display()))?;
        if !file.attrs.iter().any(forbids_unsafe) {
            bail!("{name}/src/lib.rs does not say #![forbid(unsafe_code)]");
        }
    }
    Ok(())
}

fn forbids_unsafe(attribute: &syn::Attribute) -> bool {
    let mut found = false;
    if attribute.path().is_ident("forbid") {
        // Anything unexpected inside (`reason = ".."`) ends the walk; the lint names stand before it.
        let _ = attribute.parse_nested_meta(|lint| {
            found |= lint.path.is_ident("unsafe_code");
            Ok(())
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forbids(source: &str) -> bool {
        syn::parse_file(source).unwrap().attrs.iter().any(forbids_unsafe)
    }

    #[test]
    fn only_the_attribute_itself_counts() {
        assert!(forbids("//! text\n#![no_std]\n#![forbid(unsafe_code)]\n"));
        assert!(forbids("#![forbid(missing_docs, unsafe_code, reason = \"x\")]\n"));
        assert!(!forbids("// #![forbid(unsafe_code)]\n#![no_std]\n"));
        assert!(!forbids("#![deny(unsafe_code)]\n"));
        assert!(!forbids("mod inner { #![forbid(unsafe_code)] }\n"));
    }
}
