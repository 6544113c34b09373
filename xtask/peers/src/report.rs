//! The figures for people.

use std::fmt::Write as _;

use crate::meter::Cost;
use crate::power_cut::PowerCut;
use crate::slots::{Figures, Slots, Wear};
use crate::targeted::Case;
use crate::verdict::Tally;

const HARMS: &str =
    "     cuts unbootable for good false rb  lost rb lost trial stuck harmed  refused  violations";

/// The cost of each phase, as tables.
#[must_use]
pub fn slots(slots: &Slots) -> String {
    let mut text = format!("embassy-boot {}, {} byte pages\n", slots.version, slots.page_bytes);
    figures(&mut text, &slots.image);
    figures(&mut text, &slots.small_image);
    text
}

/// What the power cuts did, as tables.
#[must_use]
pub fn power_cut(found: &PowerCut) -> String {
    let mut text = format!(
        "embassy-boot {}, seed {}: {} lives of {} operations, cut in {} modes\n\n{:<44}{HARMS}\n",
        found.version, found.seed, found.lives, found.ops, found.modes, ""
    );
    for sweep in &found.sweeps {
        let label = format!(
            "{:?} life, {} KiB, {} of {} operations",
            sweep.life,
            sweep.slot_bytes / 1024,
            sweep.ops_cut,
            sweep.ops
        );
        row(&mut text, &label, &sweep.tally);
    }
    row(&mut text, "all", &found.total);
    row(&mut text, "within what it claims", &found.within_claims);
    row(&mut text, "beyond what it claims", &found.beyond_claims);
    text.push('\n');
    for one in &found.by_mode {
        let beyond = match one.claimed_cuts {
            0 => " (beyond)",
            claimed if claimed < one.tally.cuts => " (in part beyond)",
            _ => "",
        };
        row(&mut text, &format!("{}{beyond}", one.mode), &one.tally);
    }
    cases(
        &mut text,
        "undecided SWAP magic, then a clean cut",
        &found.targeted.undecided_swap_magic_then_clean_cut,
    );
    cases(&mut text, "torn erase of the state page", &found.targeted.torn_state_erase);
    cases(&mut text, "two clean cuts", &found.targeted.two_clean_cuts);
    text.push('\n');
    for note in &found.notes {
        let _ = writeln!(text, "- {note}");
    }
    text
}

fn figures(text: &mut String, figures: &Figures) {
    let _ = writeln!(
        text,
        "\n{} KiB image in a slot of {} KiB\n{:<18}{:>8}{:>8}{:>6}{:>7}{:>14}{:>12}{:>12}",
        figures.image_bytes / 1024,
        figures.slot_bytes / 1024,
        "",
        "erases",
        "active",
        "dfu",
        "state",
        "bytes written",
        "bytes read",
        "read calls"
    );
    let phases = &figures.phases;
    for (name, cost) in [
        ("download 1 KiB", &phases.download),
        ("download by page", &phases.download_by_page),
        ("mark_updated", &phases.mark_updated),
        ("swap", &phases.swap),
        ("revert", &phases.revert),
        ("mark_booted", &phases.mark_booted),
        ("idle boot", &phases.idle_boot),
    ] {
        phase(text, name, cost);
    }
    let _ =
        writeln!(text, "swap programs {} bytes per byte of the image", figures.swap_written_per_image_byte);
    wear(text, "update", figures.wear_per_update);
    wear(text, "reverted update", figures.wear_per_reverted_update);
}

fn phase(text: &mut String, name: &str, cost: &Cost) {
    let _ = writeln!(
        text,
        "{name:<18}{:>8}{:>8}{:>6}{:>7}{:>14}{:>12}{:>12}",
        cost.erases,
        cost.erases_active,
        cost.erases_dfu,
        cost.erases_state,
        cost.bytes_written,
        cost.bytes_read,
        cost.read_calls
    );
}

fn wear(text: &mut String, what: &str, wear: Wear) {
    let Wear { active, dfu, state } = wear;
    let _ =
        writeln!(text, "erases of the most worn page per {what}: active {active}, dfu {dfu}, state {state}");
}

fn cases(text: &mut String, title: &str, cases: &[Case]) {
    let _ = writeln!(text, "\n{title}");
    for case in cases {
        row(text, &format!("  {:?} life, {}", case.life, case.mode), &case.tally);
        if case.half_moved > 0 {
            let _ = writeln!(text, "    half moved right after the cut: {}", case.half_moved);
        }
        if case.never_cut_twice > 0 {
            let _ = writeln!(text, "    never came to the second cut: {}", case.never_cut_twice);
        }
    }
}

fn row(text: &mut String, label: &str, tally: &Tally) {
    let _ = writeln!(
        text,
        "{label:<44}{:>9}{:>11}{:>9}{:>9}{:>9}{:>11}{:>6}{:>7}{:>9}{:>12}",
        tally.cuts,
        tally.unbootable,
        tally.unbootable_for_good,
        tally.false_rollback,
        tally.lost_rollback,
        tally.lost_trial,
        tally.stuck,
        tally.harmed,
        tally.refused_boots,
        tally.violations
    );
}
