//! Whether a `cfg` keeps code out of every device build.

use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Lit, Meta, Token};

use crate::family::HOST_FEATURES;

/// True when one of the attributes is a `cfg` that no device build satisfies.
pub(super) fn keeps_out(attributes: &[Attribute]) -> bool {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"))
        .filter_map(|attribute| attribute.parse_args::<Meta>().ok())
        .any(|predicate| value(&predicate) == Some(false))
}

/// The predicate's value in a device build: known false for tests and host features, unknown (`None`) for anything
/// a device build may have either way.
fn value(predicate: &Meta) -> Option<bool> {
    match predicate {
        Meta::Path(path) if path.is_ident("test") => Some(false),
        Meta::NameValue(pair) if pair.path.is_ident("feature") => {
            is_host_feature(&pair.value).then_some(false)
        }
        Meta::List(list) => {
            let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()?;
            let values: Vec<_> = parts.iter().map(value).collect();
            if list.path.is_ident("not") {
                values.first().copied().flatten().map(|value| !value)
            } else if list.path.is_ident("all") {
                decide(&values, false)
            } else if list.path.is_ident("any") {
                decide(&values, true)
            } else {
                None
            }
        }
        _ => None,
    }
}

/// `all` (decided by one false) or `any` (decided by one true); unknown when an unknown part could decide.
fn decide(values: &[Option<bool>], decisive: bool) -> Option<bool> {
    if values.contains(&Some(decisive)) {
        Some(decisive)
    } else if values.contains(&None) {
        None
    } else {
        Some(!decisive)
    }
}

fn is_host_feature(value: &Expr) -> bool {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(name), .. }) => HOST_FEATURES.contains(&name.value().as_str()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gated(cfg: &str) -> bool {
        let item: syn::ItemMod = syn::parse_str(&format!("#[cfg({cfg})] mod m;")).unwrap();
        keeps_out(&item.attrs)
    }

    #[test]
    fn only_what_no_device_build_contains_is_left_out() {
        for cfg in [
            "test",
            "feature = \"sim\"",
            "feature = \"std\"",
            "feature = \"sign\"",
            "any(test, feature = \"sim\")",
            "all(feature = \"sim\", feature = \"async\")",
            "not(not(test))",
            "all(not(any(test)), any())",
        ] {
            assert!(gated(cfg), "{cfg}");
        }
        for cfg in [
            "not(test)",
            "feature = \"async\"",
            "any(test, feature = \"async\")",
            "all(not(test), feature = \"wire\")",
            "not(feature = \"std\")",
            "target_os = \"none\"",
            "debug_assertions",
        ] {
            assert!(!gated(cfg), "{cfg}");
        }
    }
}
