//! Templates, and how chance fills them in.

use crate::case::{Case, DATA, Fill, SLOT, State};
use crate::chance::Chance;

pub(crate) struct Template {
    text: String,
    fill: Fill,
    /// Floating-point numbers are such that exact halves have to be rounded.
    ties: bool,
}

impl Template {
    /// All templates of a file.
    pub(crate) fn read(file: &str) -> Vec<Self> {
        let lines = file.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        lines
            .map(|line| {
                let (fill, text) = if let Some(text) = line.strip_prefix("small: ") {
                    (Fill::Small, text)
                } else if let Some(text) = line.strip_prefix("code: ") {
                    (Fill::Code, text)
                } else {
                    (Fill::Any, line)
                };
                let (ties, text) = text.strip_prefix("ties: ").map_or((false, text), |text| (true, text));
                Self { text: text.into(), fill, ties }
            })
            .collect()
    }

    pub(crate) fn fill(&self, chance: &mut Chance) -> Case {
        let before = State::usual(self.fill);
        let mut filling =
            Filling { chance, before, taken: vec![13, 15], given: vec![], distinct: false, ties: self.ties };
        let mut text = String::new();
        let mut rest = self.text.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            text.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            if rest[at + 1..].starts_with(brace) {
                text.push_str(brace);
                rest = &rest[at + 2..];
                continue;
            }
            let end = rest[at..].find('}').map_or(rest.len(), |end| at + end);
            text.push_str(&filling.placeholder(&rest[at + 1..end]));
            rest = rest.get(end + 1..).unwrap_or("");
        }
        text.push_str(rest);
        filling.values(&text);
        let before = filling.before;
        Case { text, code: Vec::new(), fill: self.fill, before }
    }
}

struct Filling<'c> {
    chance: &'c mut Chance,
    before: State,
    /// Registers not to choose any more.
    taken: Vec<u32>,
    /// Registers with a value that must stay.
    given: Vec<u32>,
    /// No register twice: pairs must differ.
    distinct: bool,
    ties: bool,
}

impl Filling<'_> {
    fn placeholder(&mut self, name: &str) -> String {
        match name {
            "r" => self.register(15, 1),
            "l" => self.register(8, 1),
            "h" => {
                self.distinct = true;
                self.register(12, 2)
            }
            "=" => format!("r{}", self.given.last().unwrap_or(&0)),
            "b" => {
                let at = DATA + 0x10 + self.chance.below(4) * 4;
                self.with_value(at)
            }
            "x" => {
                let small = self.chance.below(5);
                self.with_value(small)
            }
            "t" => {
                let target = SLOT + 0x40 + self.chance.below(64) * 2;
                self.with_value(target | 1)
            }
            "f" => format!("s{}", self.chance.below(32)),
            "d" => format!("d{}", self.chance.below(16)),
            "m" => format!("0x{:x}", self.modified_immediate()),
            range => self.number(range).to_string(),
        }
    }

    /// One of the first `end`, each at most once: few instructions gain from the same register twice, and some forbid it.
    fn register(&mut self, end: u32, step: u32) -> String {
        loop {
            let number = self.chance.below(end / step) * step;
            // The stack pointer and its likes, and now and then a register twice.
            let again =
                self.taken.contains(&number) && (number > 12 || self.distinct || self.chance.below(8) != 0);
            if !again && !self.given.contains(&number) {
                self.taken.push(number);
                return format!("r{number}");
            }
        }
    }

    fn with_value(&mut self, value: u32) -> String {
        loop {
            let number = self.chance.below(6);
            if !self.taken.contains(&number) {
                self.taken.push(number);
                self.given.push(number);
                self.before.r[number as usize] = value;
                return format!("r{number}");
            }
        }
    }

    /// `a-b`: from a to b; `n*m`: a multiple of m, n of them at most; `a-b*m`: even numbers in between.
    fn number(&mut self, range: &str) -> u32 {
        let number = |text: &str| text.parse().unwrap_or(0);
        let (range, factor) =
            range.split_once('*').map_or((range, 1), |(range, factor)| (range, number(factor)));
        match range.split_once('-') {
            Some((first, last)) => {
                let (first, last) = (number(first), number(last));
                (first + self.chance.below(last - first + 1)) / factor * factor
            }
            None => self.chance.below(number(range) + 1) * factor,
        }
    }

    fn modified_immediate(&mut self) -> u32 {
        let byte = self.chance.below(255) + 1;
        match self.chance.below(5) {
            0 => byte,
            1 => byte << 16 | byte,
            2 => byte << 24 | byte << 8,
            3 => byte * 0x0101_0101,
            _ => (byte | 0x80).rotate_right(8 + self.chance.below(24)),
        }
    }

    /// Gives every register that the text names a value, and sets the flags.
    fn values(&mut self, text: &str) {
        let mut floats = false;
        let words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
        for word in words {
            let Some((letter, Ok(number))) = word.split_at_checked(1).map(|(l, n)| (l, n.parse::<u32>()))
            else {
                continue;
            };
            match letter {
                "r" if number < 15 && number != 13 && !self.given.contains(&number) => {
                    self.before.r[number as usize] = self.chance.word();
                }
                "s" | "d" if number < 32 => {
                    floats = true;
                    let first = if letter == "d" { number % 16 * 2 } else { number } as usize;
                    self.before.s[first] = if self.ties { self.chance.tie() } else { self.chance.single() };
                    if letter == "d" {
                        self.before.s[first + 1] = self.chance.single();
                    }
                }
                _ => {}
            }
        }
        self.before.xpsr |= self.chance.below(32) << 27 | self.chance.below(16) << 16;
        if floats {
            self.before.fpscr = self.chance.below(16) << 28;
            if self.chance.below(2) == 0 {
                self.before.fpscr |= self.chance.below(32) << 22;
            }
        }
    }
}
