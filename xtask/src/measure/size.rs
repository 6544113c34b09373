//! Flash taken by the device crates: the program without an allocator, linked for each crate and for all.
//!
//! Each figure holds the crates below as well; the difference between two lines is what the upper crate adds. The
//! empty program (entry point and panic handler) is the base line. The boot decision is the difference between a bootloader
//! and a program that proves one slot, both with a key whose arithmetic is left out. LMS is the difference to a program that
//! hashes what is signed, the self-test to the agent with slots.
//!
//! The agent is the state machine without slots and proofs: `agent_text_bytes` when nobody looks at its messages' bytes,
//! `messages_text_bytes` what reading and writing them adds, `agent_with_messages_text_bytes` both, which have the limit.
//! `runtime_text_bytes` comes on top and is the compiler's: `memcpy` and its like, which any firmware has.
//!
//! Whole images of bootloaders are those of the nRF52840 example and, in the same run, embassy-boot-nrf's.

use anyhow::Result;
use serde_json::Value;

use crate::cargo_metadata::Workspace;
use crate::firmware;
use crate::no_alloc::{self, Agent, Calls, Decision};
use crate::quickstart::Figures;

/// The programs: figure name and features of `xtask/no-alloc`.
const PROGRAMS: [(&str, &[&str]); 9] = [
    ("empty", &[]),
    ("manifest", &["manifest"]),
    ("verify", &["verify"]),
    ("proof_without_crypto", &["proof"]),
    ("boot_without_crypto", &["boot"]),
    ("boot_ed25519", &["boot", "crypto"]),
    ("boot_moving_ed25519", &["boot-moving", "crypto"]),
    ("agent_with_slots_ed25519", &["agent"]),
    ("stream", &["stream"]),
];

/// The bootloaders whose decision is measured by itself.
const DECISIONS: [(&str, &str); 2] = [("boot_decision", "boot"), ("boot_decision_moving", "boot-moving")];

/// Links them all and reads code and constants, in bytes.
pub(super) fn take(workspace: &Workspace) -> Result<Figures> {
    let mut figures = Figures::new();
    for (name, crates) in PROGRAMS {
        let sizes = no_alloc::link(workspace, &Calls::Only(crates))?.sizes;
        figures.insert(format!("{name}_text_bytes"), sizes.text.into());
    }
    for (name, feature) in DECISIONS {
        let decision = Decision::measure(workspace, feature)?;
        figures.insert(format!("{name}_text_bytes"), decision.text.into());
        figures.insert(format!("{name}_panic_symbols"), decision.panics.into());
        figures.insert(format!("{name}_largest_frame_bytes"), decision.frame.into());
    }
    figures.extend(agent(&Agent::measure(workspace)?));
    figures.insert("lms_text_bytes".into(), no_alloc::lms(workspace)?.into());
    figures.insert("self_test_text_bytes".into(), no_alloc::self_test(workspace)?.into());
    let all = no_alloc::link(workspace, &Calls::All)?.sizes;
    figures.insert("all_text_bytes".into(), all.text.into());
    figures.insert("all_data_bytes".into(), all.data.into());
    figures.insert("all_bss_bytes".into(), all.bss.into());
    figures.extend(firmware::figures(workspace)?);
    Ok(figures)
}

fn agent(agent: &Agent) -> [(String, Value); 9] {
    [
        ("agent_text_bytes", agent.alone),
        ("messages_text_bytes", agent.with_messages.saturating_sub(agent.alone)),
        ("agent_with_messages_text_bytes", agent.with_messages),
        ("agent_with_messages_limit_bytes", no_alloc::AGENT),
        ("agent_with_messages_panic_symbols", agent.panics as u64),
        ("runtime_text_bytes", agent.runtime),
        ("agent_with_messages_and_runtime_text_bytes", agent.with_messages + agent.runtime),
        ("agent_state_bytes", agent.state),
        ("agent_state_limit_bytes", no_alloc::STATE),
    ]
    .map(|(name, figure)| (name.into(), figure.into()))
}
