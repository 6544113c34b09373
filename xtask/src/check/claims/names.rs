//! What a source file holds that a document may name.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprLit, Ident, ImplItem, Item, ItemMacro, Lit, Meta};

/// Tests and examples of one file.
#[derive(Default)]
pub(super) struct Names {
    /// Tests that run, and examples: `Item#compile_fail` for one that must not compile, `Item#example` for one that runs.
    pub(super) held: BTreeSet<String>,
    /// Tests that do not run.
    pub(super) ignored: BTreeSet<String>,
    /// Macros of this file that make a test of the name they are given first.
    makers: BTreeSet<String>,
}

/// Reads one file.
pub(super) fn find(file: &syn::File) -> Names {
    let mut names = Names::default();
    names.visit_file(file);
    names
}

impl Names {
    fn function(&mut self, name: &Ident, attributes: &[Attribute]) {
        let last =
            |attribute: &Attribute| attribute.path().segments.last().map(|part| part.ident.to_string());
        let has = |word: &str| attributes.iter().any(|attribute| last(attribute).as_deref() == Some(word));
        if has("test") {
            let names = if has("ignore") { &mut self.ignored } else { &mut self.held };
            names.insert(name.to_string());
        }
        self.examples(name, attributes);
    }

    /// The examples in the documentation of `name`.
    fn examples(&mut self, name: &Ident, attributes: &[Attribute]) {
        let mut inside = false;
        for line in attributes.iter().filter_map(documentation) {
            let Some(kind) = line.trim().strip_prefix("```").map(str::to_owned) else { continue };
            inside = !inside;
            match kind.as_str() {
                _ if !inside => {}
                "compile_fail" => drop(self.held.insert(format!("{name}#compile_fail"))),
                "" | "rust" => drop(self.held.insert(format!("{name}#example"))),
                _ => {}
            }
        }
    }

    /// The tests a macro makes: `proptest!`, or one that this file defines before it is called.
    fn expansion(&mut self, item: &ItemMacro) {
        let tokens = item.mac.tokens.clone();
        let called = item.mac.path.segments.last().map(|part| part.ident.to_string()).unwrap_or_default();
        match &item.ident {
            Some(name) if tokens.to_string().replace([' ', '\n'], "").contains("#[test]fn$") => {
                self.makers.insert(name.to_string());
            }
            None if called == "proptest" => self.property_tests(tokens),
            None if self.makers.contains(&called) => {
                if let Some(TokenTree::Ident(name)) = tokens.into_iter().next() {
                    self.held.insert(name.to_string());
                }
            }
            _ => {}
        }
    }

    /// Tests in what `proptest!` is given, which is not parsed: `#[test]`, then perhaps more attributes, then `fn` and a
    /// name.
    fn property_tests(&mut self, tokens: TokenStream) {
        let (mut is_test, mut is_ignored, mut is_named) = (false, false, false);
        let mut after_hash = false;
        for token in tokens {
            match token {
                TokenTree::Punct(punct) => after_hash = punct.as_char() == '#',
                TokenTree::Group(group) if after_hash => {
                    let attribute = group.stream().to_string();
                    is_test |= attribute == "test";
                    is_ignored |= attribute.starts_with("ignore");
                    after_hash = false;
                }
                TokenTree::Group(_) | TokenTree::Literal(_) => after_hash = false,
                TokenTree::Ident(word) if word == "fn" => is_named = true,
                TokenTree::Ident(name) => {
                    if std::mem::take(&mut is_named) && std::mem::take(&mut is_test) {
                        let names = if is_ignored { &mut self.ignored } else { &mut self.held };
                        names.insert(name.to_string());
                    }
                    is_ignored &= is_test;
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Const(item) => self.examples(&item.ident, &item.attrs),
            Item::Enum(item) => self.examples(&item.ident, &item.attrs),
            Item::Fn(item) => self.function(&item.sig.ident, &item.attrs),
            Item::Struct(item) => self.examples(&item.ident, &item.attrs),
            Item::Trait(item) => self.examples(&item.ident, &item.attrs),
            Item::Type(item) => self.examples(&item.ident, &item.attrs),
            Item::Macro(item) => self.expansion(item),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if let ImplItem::Fn(item) = item {
            self.examples(&item.sig.ident, &item.attrs);
        }
        visit::visit_impl_item(self, item);
    }
}

/// A line of documentation.
fn documentation(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    match &pair.value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if pair.path.is_ident("doc") => Some(text.value()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(source: &str) -> (Vec<String>, Vec<String>) {
        let found = find(&syn::parse_file(source).unwrap());
        (found.held.into_iter().collect(), found.ignored.into_iter().collect())
    }

    #[test]
    fn functions_count_only_as_tests() {
        let source = "#[test] fn a() {}\nfn b() {}\nmod tests { #[test] #[should_panic] fn c() {} fn d() {} }\n\
            #[tokio::test(flavor = \"multi_thread\")] async fn e() {}\n#[test] #[ignore = \"slow\"] fn f() {}\n\
            // #[test] fn g() {}\n#[cfg(test)] fn h() {}\nconst S: &str = \"#[test] fn i() {}\";";
        assert_eq!(names(source), (vec!["a".into(), "c".into(), "e".into()], vec!["f".into()]));
    }

    #[test]
    fn property_tests_are_found_and_their_helpers_are_not() {
        let source = "proptest! {\n#![proptest_config(ProptestConfig::with_cases(9))]\n/// Says.\n#[test]\n\
            #[cfg_attr(miri, allow(unused))]\nfn a(x in 0..9u8) { helper(x); fn inner() {} }\nfn b() {}\n\
            #[test]\n#[ignore]\nfn c() {}\n#[test] fn d() {} }\nother! { #[test] fn e() {} }";
        assert_eq!(names(source), (vec!["a".into(), "d".into()], vec!["c".into()]));
    }

    #[test]
    fn tests_that_a_macro_of_the_file_makes_are_found() {
        let source = "macro_rules! apart { ($name:ident, $body:expr) => { #[test] fn $name() { $body } }; }\n\
            macro_rules! helper { ($name:ident) => { fn $name() {} }; }\n\
            apart!(a, b()); helper!(c); elsewhere!(d);";
        assert_eq!(names(source).0, ["a"]);
    }

    #[test]
    fn examples_are_named_by_their_item_and_kind() {
        let source = "/// Proof.\n///\n/// ```compile_fail\n/// forge();\n/// ```\npub struct A;\n\
            impl A {\n/// ```\n/// # use x;\n/// ```\n/// Then ```text\n fn b() {} }\n\
            /// ```text\n/// ```\n/// ```no_run\n/// ```\nfn c() {}";
        assert_eq!(names(source).0, ["A#compile_fail", "b#example"]);
    }
}
