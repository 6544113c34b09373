//! Finding `alloc` and `std` in parsed source, where they name the crate: not in comments, strings or the middle of
//! a path such as `core::alloc::Layout`.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, Stmt, TraitItem, UseTree};

use super::gate::keeps_out;
use super::verdicts;

const FORBIDDEN: [&str; 2] = ["alloc", "std"];

/// One place where a forbidden crate is named.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Counted from 1.
    pub(super) line: usize,
    /// `alloc` or `std`.
    pub(super) name: &'static str,
}

/// A `mod name;` a device build may contain.
pub(super) struct Module {
    /// Inline modules around it, then its own name.
    pub(super) path: Vec<String>,
    /// Its file is not where its name says.
    pub(super) has_path_attribute: bool,
}

/// What one file holds.
#[derive(Default)]
pub(super) struct Found {
    /// Places, in the order of the file.
    pub(super) words: Vec<Word>,
    /// Files to read next.
    pub(super) modules: Vec<Module>,
    /// Lines that call `Hardened::of`.
    pub(super) verdicts: Vec<usize>,
    /// Lines that give `Hardened` another name.
    pub(super) aliases: Vec<usize>,
    inline: Vec<String>,
}

/// Reads one file.
pub(super) fn find(file: &syn::File) -> Found {
    let mut found = Found::default();
    if !keeps_out(&file.attrs) {
        found.visit_file(file);
    }
    found
}

impl Found {
    fn judge(&mut self, ident: &Ident) {
        if let Some(name) = FORBIDDEN.into_iter().find(|name| ident == name) {
            let word = Word { line: ident.span().start().line, name };
            // Once per line is enough to find it.
            if self.words.last() != Some(&word) {
                self.words.push(word);
            }
        }
    }

    /// The first word of each path in a `use`.
    fn judge_use(&mut self, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => self.judge(&path.ident),
            UseTree::Name(name) => self.judge(&name.ident),
            UseTree::Rename(rename) => self.judge(&rename.ident),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.judge_use(tree)),
            UseTree::Glob(_) => {}
        }
    }

    /// What a macro is given is not parsed: a forbidden name followed by `::` and not preceded by one counts.
    fn judge_tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let colon = |at: Option<usize>| matches!(at.and_then(|at| tokens.get(at)), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => self.judge_tokens(group.stream()),
                TokenTree::Ident(ident) => {
                    let after_path = colon(at.checked_sub(1)) && colon(at.checked_sub(2)) && at > 2;
                    let before_path = colon(Some(at + 1)) && colon(Some(at + 2));
                    if before_path && !(after_path && matches!(tokens[at - 3], TokenTree::Ident(_))) {
                        self.judge(ident);
                    }
                }
                _ => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Found {
    fn visit_item(&mut self, item: &'ast Item) {
        if !keeps_out(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.inline.push(module.ident.to_string());
        if module.content.is_none() {
            let has_path_attribute = module.attrs.iter().any(|attribute| attribute.path().is_ident("path"));
            self.modules.push(Module { path: self.inline.clone(), has_path_attribute });
        }
        visit::visit_item_mod(self, module);
        self.inline.pop();
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        self.judge(&item.ident);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.judge_use(&item.tree);
        if verdicts::is_renamed(&item.tree) {
            self.aliases.push(item.use_token.span.start().line);
        }
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        if matches!(&*item.ty, syn::Type::Path(named) if verdicts::is_type(&named.path)) {
            self.aliases.push(item.ident.span().start().line);
        }
        visit::visit_item_type(self, item);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some(first) = path.segments.first()
            && path.segments.len() > 1
        {
            self.judge(&first.ident);
            if verdicts::is_call(path) {
                self.verdicts.push(first.ident.span().start().line);
            }
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.judge_tokens(call.tokens.clone());
        self.verdicts.extend(verdicts::calls_in(call.tokens.clone()));
        visit::visit_macro(self, call);
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes: &[Attribute] = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            ImplItem::Macro(item) => &item.attrs,
            _ => &[],
        };
        if !keeps_out(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        let attributes: &[Attribute] = match item {
            TraitItem::Const(item) => &item.attrs,
            TraitItem::Fn(item) => &item.attrs,
            TraitItem::Type(item) => &item.attrs,
            TraitItem::Macro(item) => &item.attrs,
            _ => &[],
        };
        if !keeps_out(attributes) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        let attributes: &[Attribute] = match statement {
            Stmt::Local(local) => &local.attrs,
            Stmt::Macro(call) => &call.attrs,
            _ => &[],
        };
        if !keeps_out(attributes) {
            visit::visit_stmt(self, statement);
        }
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if !keeps_out(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        if !keeps_out(&variant.attrs) {
            visit::visit_variant(self, variant);
        }
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(source: &str) -> Vec<usize> {
        find(&syn::parse_file(source).unwrap()).words.iter().map(|word| word.line).collect()
    }

    #[test]
    fn every_way_to_name_the_allocator_or_the_standard_library_is_found() {
        for source in [
            "extern crate alloc;",
            "extern crate std as s;",
            "use alloc::vec::Vec;",
            "use std::fmt;",
            "use {core::fmt, alloc::vec};",
            "use ::std::fmt;",
            "fn f() { let _ = alloc::vec![1u8]; }",
            "fn f() -> alloc::boxed::Box<u8> { loop {} }",
            "fn f() { g(core::mem::size_of::<alloc::vec::Vec<u8>>()); }",
            "fn f() { assert!(std::env::args().count() > 0); }",
            "fn f() { assert!(true && (x(::std::process::id()))); }",
            "#[cfg(feature = \"async\")] mod m { use std::fmt; }",
            "struct S { #[cfg(not(test))] field: std::string::String }",
        ] {
            assert_eq!(lines(source), [1], "{source}");
        }
    }

    #[test]
    fn comments_strings_gated_code_and_look_alikes_are_free() {
        for source in [
            "//! ```\n//! use std::fmt;\n//! ```\n/// alloc::vec\nfn f() { let _ = \"std::fs\"; }",
            "use core::alloc::Layout;\nfn f() { assert!(core::alloc::Layout::new::<u8>().size() > 0); }",
            "#[cfg(test)] mod tests { use std::vec; }",
            "#[cfg(feature = \"sim\")] extern crate alloc;",
            "#[cfg(any(test, feature = \"std\"))] fn f() -> std::string::String { loop {} }",
            "struct S; impl S { #[cfg(feature = \"sign\")] fn f() -> alloc::vec::Vec<u8> { loop {} } }",
            "fn f() { #[cfg(test)] let _ = std::env::args(); }",
            "fn alloc(std: u8) -> u8 { std }",
            "#![cfg(feature = \"sim\")]\nuse std::fmt;",
        ] {
            assert_eq!(lines(source), [0usize; 0], "{source}");
        }
    }

    #[test]
    fn child_modules_are_named_with_the_inline_modules_around_them() {
        let found = find(&syn::parse_file("mod a; mod b { mod c; } #[cfg(test)] mod tests;").unwrap());
        let paths: Vec<_> = found.modules.iter().map(|module| module.path.join("/")).collect();
        assert_eq!(paths, ["a", "b/c"]);
    }
}
