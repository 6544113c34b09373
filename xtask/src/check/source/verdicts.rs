//! `Hardened` is asked where the documentation says, and nowhere else: each place more is flash in every bootloader, and
//! makes those that matter harder to find.

use proc_macro2::{TokenStream, TokenTree};
use syn::{Path, UseTree};

/// The type.
const TYPE: &str = "Hardened";
/// The files with one call each: signature, image digest, hand-over.
const PLACES: [&str; 3] = ["ota-slots/src/boot.rs", "ota-verify/src/proof.rs", "ota-verify/src/trust.rs"];

/// Whether `path` is `Hardened::of`, with or without a path before.
pub(super) fn is_call(path: &Path) -> bool {
    let mut last = path.segments.iter().rev();
    last.next().is_some_and(|name| name.ident == "of") && last.next().is_some_and(|name| name.ident == TYPE)
}

/// Whether `path` ends in the type: behind an alias its calls could not be counted.
pub(super) fn is_type(path: &Path) -> bool {
    path.segments.last().is_some_and(|name| name.ident == TYPE)
}

/// Whether the type is given another name.
pub(super) fn is_renamed(tree: &UseTree) -> bool {
    match tree {
        UseTree::Path(path) => is_renamed(&path.tree),
        UseTree::Rename(rename) => rename.ident == TYPE,
        UseTree::Group(group) => group.items.iter().any(is_renamed),
        UseTree::Name(_) | UseTree::Glob(_) => false,
    }
}

/// The lines of calls in what a macro is given.
pub(super) fn calls_in(tokens: TokenStream) -> Vec<usize> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let is = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token.to_string() == word);
    let called = |at: usize| is(at + 1, ":") && is(at + 2, ":") && is(at + 3, "of");
    let mut lines = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => lines.extend(calls_in(group.stream())),
            TokenTree::Ident(ident) if ident == TYPE && called(at) => {
                lines.push(ident.span().start().line);
            }
            _ => {}
        }
    }
    lines
}

/// What is wrong with these calls (file and line), if they are not one in each of the places.
pub(super) fn objection(calls: &[(String, usize)]) -> Option<String> {
    let mut files: Vec<_> = calls.iter().map(|(file, _)| file.as_str()).collect();
    files.sort_unstable();
    if files == PLACES {
        return None;
    }
    let found: Vec<_> = calls.iter().map(|(file, line)| format!("{file}:{line}")).collect();
    Some(format!(
        "{TYPE}::of is called once in each of {} and nowhere else, but was found at {}",
        PLACES.join(", "),
        if found.is_empty() { "no place".into() } else { found.join(", ") }
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::source::words;

    fn lines(source: &str) -> (Vec<usize>, Vec<usize>) {
        let found = words::find(&syn::parse_file(source).unwrap());
        (found.verdicts, found.aliases)
    }

    #[test]
    fn every_way_to_call_is_found_and_what_no_device_builds_is_not() {
        let source = "fn a() { Hardened::of(true); }\nfn b() { let f = crate::hardened::Hardened::of; }\n\
            fn c() { assert!(x, g(ota_verify::Hardened::of(y).passed())); }\n\
            #[cfg(test)] fn d() { Hardened::of(true); }\n/// Hardened::of(true)\nfn e() { Other::of(true); }\n\
            fn f(x: Hardened) { x.passed(); }";
        assert_eq!(lines(source), (vec![1, 2, 3], vec![]));
    }

    #[test]
    fn type_cannot_hide_behind_another_name() {
        let source =
            "use ota_verify::{Digest, Hardened as Soft};\ntype Soft = crate::Hardened;\nuse a::Hardened;";
        assert_eq!(lines(source).1, [1, 2]);
    }

    #[test]
    fn a_fourth_call_a_moved_one_and_a_missing_one_are_told() {
        let call = |file: &str, line| (file.to_owned(), line);
        let mut calls: Vec<_> = PLACES.iter().map(|file| call(file, 7)).collect();
        assert_eq!(objection(&calls), None);
        calls.push(call("ota-agent/src/agent.rs", 9));
        assert!(objection(&calls).unwrap().ends_with("ota-agent/src/agent.rs:9"));
        calls.remove(1);
        assert!(objection(&calls).is_some(), "three, and one of them elsewhere");
        calls.pop();
        assert!(objection(&calls).is_some(), "two");
        assert!(objection(&[]).unwrap().ends_with("no place"));
        let twice = [PLACES[0], PLACES[1], PLACES[2], PLACES[2]].map(|file| call(file, 1));
        assert!(objection(&twice).is_some(), "twice in one file");
    }
}
