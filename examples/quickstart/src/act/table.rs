//! The closing table.

use std::path::Path;

use crate::Figures;

/// Prints the figures on standard error, where the story was told.
pub fn show(figures: &Figures, dir: &Path, kept: bool) {
    let mut rows = vec![
        ("devices", figures.devices),
        ("confirmed on 1.1.0", figures.confirmed),
        ("rolled back from 1.2.0", figures.rolled_back),
        ("campaign halted (1 = yes)", u64::from(figures.halted)),
        ("polls after the halt", figures.polls_after_halt),
        ("offers after the halt", figures.offered_after_halt),
        ("forged manifests refused", figures.refused_foreign),
        ("old manifests refused", figures.refused_old),
        ("damaged chunks refused", figures.refused_tampered),
        ("devices told the time", figures.told_time),
        ("power cuts", figures.power_cuts),
        ("downloads resumed", figures.resumed),
        ("bytes fetched again on resume", figures.refetched_bytes),
        ("bytes served", figures.bytes_served),
        ("milliseconds", figures.elapsed_ms),
    ];
    rows.extend(figures.notified.map(|devices| ("devices rung for", devices)));
    rows.extend(figures.polls_before_offer.map(|polls| ("polls in vain before an offer", polls)));
    eprintln!("\n{:-<48}", "");
    for (name, value) in rows {
        eprintln!("  {name:<32} {value:>12}");
    }
    eprintln!("{:-<48}", "");
    if kept {
        eprintln!("  count again in {}", dir.display());
    }
}
