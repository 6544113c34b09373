//! What a program found out.

use crate::cost::Cost;
use crate::{cost, host};

/// The cost of a call, and whether it told good from bad.
pub struct Report {
    cost: Cost,
    good_accepted: bool,
    bad_tried: u32,
    bad_accepted: u32,
}

impl Report {
    /// Makes the call on the good input and measures it.
    pub(crate) fn of_good(accepts: impl FnOnce() -> bool) -> Self {
        let (good_accepted, cost) = cost::of(accepts);
        Self { cost, good_accepted, bad_tried: 0, bad_accepted: 0 }
    }

    /// Makes it on an input that must be refused.
    pub(crate) fn try_bad(&mut self, accepts: impl FnOnce() -> bool) {
        cost::watch();
        self.bad_tried += 1;
        self.bad_accepted += u32::from(accepts());
    }

    /// Prints one name and one number per line.
    pub(crate) fn print(&self) {
        let lines = [
            ("instructions ", self.cost.instructions),
            ("stack_bytes ", self.cost.stack),
            ("good_accepted ", u32::from(self.good_accepted)),
            ("bad_tried ", self.bad_tried),
            ("bad_accepted ", self.bad_accepted),
        ];
        for (name, number) in lines {
            host::print(name);
            host::print_number(number);
            host::print("\n");
        }
    }
}
