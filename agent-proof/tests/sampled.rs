//! A sample of what `agent-proof run` does, small enough for every test run.

use agent_proof::board::Board;
use agent_proof::life::Life;
use agent_proof::plant::Plant;
use agent_proof::progress::lead;
use agent_proof::scenario::Kind;

#[test]
fn lives_over_a_lossy_link_with_resets_anywhere_break_no_promise() {
    let tally = lead(1..401, Plant::None, 2, false);
    let failures: Vec<String> = tally.failures().collect();
    assert!(failures.is_empty(), "{} broken promises:\n{}", tally.broken(), failures.join("\n"));
    assert_eq!((tally.lives, tally.finished), (400, 400));

    assert!(tally.reboots > 4 * tally.lives, "{} resets", tally.reboots);
    let seen = |kind: &Kind| tally.kinds.get(kind).copied().unwrap_or(0);
    for kind in Kind::ALL {
        assert!(seen(&kind) >= 5, "{kind:?} only {} times", seen(&kind));
    }
    let strategies: Vec<u64> = tally.strategies.values().copied().collect();
    assert!(strategies.len() == 3 && strategies.iter().all(|lives| *lives > 80), "{strategies:?}");
    let seldom = [tally.cut_boots, tally.lost_journals, tally.restored];
    assert!(seldom.iter().all(|times| *times >= 20), "{seldom:?}");
    let [questions, believed, adopted] = tally.asked;
    assert!(tally.asking > 80 && questions > 1000 && believed > 400 && adopted > 80, "{:?}", tally.asked);
    let happened = tally.mishaps;
    for count in
        [happened.lost, happened.doubled, happened.damaged, happened.split, happened.late, happened.overtaken]
    {
        assert!(count > 500, "{happened:?}");
    }
    assert!(
        tally.refetched.values().all(|most| *most > 1024),
        "resets fall into downloads: {:?}",
        tally.refetched
    );
}

#[test]
fn journal_lost_at_any_output_of_a_life_breaks_no_promise() {
    let boards = Board::all();
    let mut lives = 0;
    let without = |seed, output| {
        let mut life = Life::new(&boards, seed, Plant::None);
        life.strike_once(output);
        life.lose_journal_after(1).then(|| life.lead())
    };
    // Overwriting, swapping, in place.
    for seed in [5, 10, 7] {
        let undisturbed = without(seed, u64::MAX).expect("jobs that survive it");
        for output in 0..u64::from(undisturbed.outputs) {
            let Some(outcome) = without(seed, output) else { continue };
            let findings = &outcome.findings;
            assert!(outcome.finished && findings.is_empty(), "{seed} {output}: {findings:?}");
            lives += u32::from(outcome.lost_journal);
        }
    }
    assert!(lives > 200, "only {lives} lives");
}

#[test]
fn one_reset_at_any_output_of_a_life_breaks_no_promise() {
    let boards = Board::all();
    let (mut lives, mut adopted) = (0, 0);
    // Overwriting, swapping, in place; the same with a chain of trust documents.
    for seed in [5, 6, 7, 592, 196, 188] {
        let led = |output| {
            let mut life = Life::new(&boards, seed, Plant::None);
            life.strike_once(output);
            life.lead()
        };
        let undisturbed = led(u64::MAX);
        for output in 0..u64::from(undisturbed.outputs) {
            let outcome = led(output);
            assert!(
                outcome.finished && outcome.findings.is_empty(),
                "{seed} {output}: {:?}",
                outcome.findings
            );
            let [.., documents] = outcome.asked;
            assert_eq!(documents, undisturbed.asked[2], "{seed} {output}");
            (lives, adopted) = (lives + 1, adopted + documents);
        }
    }
    assert!(lives > 1000 && adopted > 1000, "{lives} lives, {adopted} documents");
}
