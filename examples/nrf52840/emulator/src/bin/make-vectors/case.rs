//! A case for the harness: what it is given, what it leaves behind, and the line of text that tells both.

use std::fmt::Write as _;

/// Where the code of a case stands.
pub(crate) const SLOT: u32 = 0x2000_4000;
/// What `{b}` points into the middle of.
pub(crate) const DATA: u32 = 0x2000_8000;
/// The stack pointer; eight words on either side are looked at.
const STACK: u32 = 0x2000_9000;
/// Words of a result.
pub(crate) const RESULT: usize = 86;

/// What data and stack hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    Any,
    Small,
    Code,
}

/// Registers before a case, or after it.
#[derive(Clone)]
pub(crate) struct State {
    /// R0 to R15.
    pub(crate) r: [u32; 16],
    pub(crate) s: [u32; 32],
    pub(crate) xpsr: u32,
    pub(crate) fpscr: u32,
    pub(crate) data: [u32; 16],
    /// From eight words below the stack pointer on.
    pub(crate) stack: [u32; 16],
}

pub(crate) struct Case {
    pub(crate) text: String,
    /// The instructions; the rest is undefined ones.
    pub(crate) code: Vec<u16>,
    pub(crate) fill: Fill,
    pub(crate) before: State,
}

pub(crate) struct Outcome {
    after: State,
    cfsr: u32,
    bfar: u32,
}

impl State {
    /// What registers hold that no vector mentions.
    pub(crate) fn usual(fill: Fill) -> Self {
        let word = |index: u32| match fill {
            Fill::Any => 0x9E37_79B9_u32.wrapping_mul(index + 1),
            Fill::Small => 0x0003_0001 + index * 0x0002_0002,
            Fill::Code => SLOT + 0x41 + index * 4,
        };
        let mut state =
            Self { r: [0; 16], s: [0; 32], xpsr: 0x0100_0000, fpscr: 0, data: [0; 16], stack: [0; 16] };
        for (index, register) in (0_u32..).zip(&mut state.r) {
            *register = index * 0x0101_0101;
        }
        (state.r[13], state.r[15]) = (STACK, SLOT);
        for (index, register) in (0_u32..).zip(&mut state.s) {
            *register = 0x3F80_0000 + index * 0x0012_3457;
        }
        for (index, (data, stack)) in (0_u32..).zip(state.data.iter_mut().zip(&mut state.stack)) {
            (*data, *stack) = (word(index), word(index + 16));
        }
        state
    }
}

/// The lines that say what registers and memory hold unless a vector says otherwise.
pub(crate) fn usual_lines() -> String {
    let zero = State { r: [0; 16], s: [0; 32], xpsr: 0, fpscr: 0, data: [0; 16], stack: [0; 16] };
    let mut lines = String::new();
    for (name, fill) in [("any", Fill::Any), ("small", Fill::Small), ("code", Fill::Code)] {
        let _ = write!(lines, "usual {name} |");
        differences(&mut lines, &zero, &State::usual(fill));
        lines.push('\n');
    }
    lines
}

impl Case {
    /// The words for the harness.
    pub(crate) fn record(&self) -> Vec<u32> {
        let State { r, s, xpsr, fpscr, data, stack, .. } = &self.before;
        let code = self.code.iter().copied().chain(std::iter::repeat(0xDE00)).take(8);
        let code: Vec<u16> = code.collect();
        let code = code.chunks(2).map(|pair| u32::from(pair[0]) | u32::from(pair[1]) << 16);
        let frame = [r[0], r[1], r[2], r[3], r[12], r[14], SLOT, *xpsr];
        let parts = [&data[..], stack, s, &[*fpscr, STACK - 0x20], &frame, &r[4..12]];
        code.chain(parts.into_iter().flatten().copied()).collect()
    }

    /// The vector: what differs from the usual before, and what from that after.
    pub(crate) fn line(&self, outcome: &Outcome) -> String {
        let mut line = format!("{} |", self.text);
        for half in &self.code {
            let _ = write!(line, " {half:04x}");
        }
        line.push_str(" |");
        line.push_str(match self.fill {
            Fill::Any => "",
            Fill::Small => " data=small",
            Fill::Code => " data=code",
        });
        differences(&mut line, &State::usual(self.fill), &self.before);
        line.push_str(" |");
        let mut expected = self.before.clone();
        // Below either stack pointer lies what the harness left, except where the case pushed something.
        let words = outcome.after.r[13].wrapping_sub(STACK - 0x20) / 4;
        let first = if self.pushes() { words } else { words.max(8) }.min(16) as usize;
        expected.stack[..first].copy_from_slice(&outcome.after.stack[..first]);
        differences(&mut line, &expected, &outcome.after);
        if outcome.cfsr != 0x1_0000 {
            let _ = write!(line, " cfsr={:x}", outcome.cfsr);
            if outcome.cfsr & 0x8000 != 0 {
                let _ = write!(line, " bfar={:x}", outcome.bfar);
            }
        }
        line
    }

    fn pushes(&self) -> bool {
        self.text.contains("push")
    }
}

fn differences(line: &mut String, from: &State, to: &State) {
    let mut tell = |name: &str, from: &[u32], to: &[u32]| {
        for (index, (from, to)) in from.iter().zip(to).enumerate() {
            if from != to {
                let _ = write!(line, " {name}{index}={to:x}");
            }
        }
    };
    tell("r", &from.r, &to.r);
    tell("s", &from.s, &to.s);
    tell("data", &from.data, &to.data);
    tell("stack", &from.stack, &to.stack);
    for (name, from, to) in [("xpsr", from.xpsr, to.xpsr), ("fpscr", from.fpscr, to.fpscr)] {
        if from != to {
            let _ = write!(line, " {name}={to:x}");
        }
    }
}

impl Outcome {
    pub(crate) fn read(words: &[u32]) -> Self {
        let mut after = State::usual(Fill::Any);
        let frame = &words[1..9];
        after.r[..4].copy_from_slice(&frame[..4]);
        after.r[4..12].copy_from_slice(&words[9..17]);
        (after.r[12], after.r[14], after.r[15]) = (frame[4], frame[5], frame[6]);
        let xpsr = frame[7];
        after.r[13] = words[0] + 0x20 + (xpsr >> 9 & 1) * 4;
        after.xpsr = xpsr & !(1 << 9);
        after.fpscr = words[17];
        after.s.copy_from_slice(&words[18..50]);
        after.data.copy_from_slice(&words[50..66]);
        after.stack.copy_from_slice(&words[66..82]);
        Self { after, cfsr: words[82], bfar: words[84] }
    }
}
