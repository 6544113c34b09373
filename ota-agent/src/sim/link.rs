//! A link that does to packets what links do, in one direction.

use super::Dice;
use super::alloc::vec;
use super::alloc::vec::Vec;

/// How bad a link is. Shares are in percent of the packets sent; each happens apart from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// Packets that never arrive.
    pub lost: u8,
    /// Packets that arrive twice.
    pub doubled: u8,
    /// Packets in which up to three bits are wrong.
    pub damaged: u8,
    /// Packets that arrive in two pieces, each with a way of its own.
    pub split: u8,
    /// Packets that arrive up to [`Weather::late_ms`] later than the others.
    pub late: u8,
    /// Shortest and longest time on the way, ms. Between the two, packets overtake each other.
    pub latency_ms: (u32, u32),
    /// What late means, ms.
    pub late_ms: u32,
}

impl Weather {
    /// Every packet arrives as it was sent, 10 ms later.
    pub const FAIR: Self =
        Self { lost: 0, doubled: 0, damaged: 0, split: 0, late: 0, latency_ms: (10, 10), late_ms: 0 };
}

/// What has happened to packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mishaps {
    /// Sent.
    pub sent: u64,
    /// Lost on the way.
    pub lost: u64,
    /// Doubled.
    pub doubled: u64,
    /// Damaged, copies counted.
    pub damaged: u64,
    /// Split, copies counted.
    pub split: u64,
    /// Late, pieces counted.
    pub late: u64,
    /// Pieces that arrived although something sent after them had arrived before.
    pub overtaken: u64,
}

/// One direction of a link: packets of any bytes, one seed, and time as an argument.
///
/// It frames nothing and checks nothing: what arrives is what a receiver on such a link has to cope with.
///
/// ```
/// use ota_agent::sim::{LossyLink, Weather};
///
/// let mut fair = LossyLink::new(Weather::FAIR, 7);
/// fair.send(100, b"hello");
/// assert_eq!(fair.receive(109), None);
/// assert_eq!(fair.next_at(), Some(110));
/// assert_eq!(fair.receive(110).as_deref(), Some(&b"hello"[..]));
///
/// let mut foul = LossyLink::new(Weather { lost: 30, ..Weather::FAIR }, 7);
/// (0..1000).for_each(|now| foul.send(now, b"hello"));
/// assert!((200..400).contains(&foul.mishaps().lost));
/// ```
#[derive(Debug, Clone)]
pub struct LossyLink {
    weather: Weather,
    dice: Dice,
    under_way: Vec<Piece>,
    mishaps: Mishaps,
    /// Number of the next piece.
    next: u64,
    /// One above the highest number that has arrived.
    arrived: u64,
}

#[derive(Debug, Clone)]
struct Piece {
    at: u64,
    number: u64,
    bytes: Vec<u8>,
}

impl LossyLink {
    /// A link with nothing on it.
    #[must_use]
    pub fn new(weather: Weather, seed: u64) -> Self {
        let (under_way, mishaps) = (Vec::new(), Mishaps::default());
        Self { weather, dice: Dice::new(seed), under_way, mishaps, next: 0, arrived: 0 }
    }

    /// Sends a packet at time `now`, ms.
    pub fn send(&mut self, now: u64, packet: &[u8]) {
        self.mishaps.sent += 1;
        if self.dice.percent(self.weather.lost) {
            self.mishaps.lost += 1;
            return;
        }
        let doubled = self.dice.percent(self.weather.doubled);
        self.mishaps.doubled += u64::from(doubled);
        for _ in 0..=u8::from(doubled) {
            self.send_copy(now, packet.to_vec());
        }
    }

    fn send_copy(&mut self, now: u64, mut bytes: Vec<u8>) {
        if !bytes.is_empty() && self.dice.percent(self.weather.damaged) {
            self.mishaps.damaged += 1;
            for _ in 0..=self.dice.below(3) {
                let at = self.dice.index(bytes.len());
                bytes[at] ^= 1 << self.dice.below(8);
            }
        }
        let pieces = if bytes.len() > 1 && self.dice.percent(self.weather.split) {
            self.mishaps.split += 1;
            let rest = bytes.split_off(1 + self.dice.index(bytes.len() - 1));
            vec![bytes, rest]
        } else {
            vec![bytes]
        };
        pieces.into_iter().for_each(|piece| self.send_piece(now, piece));
    }

    fn send_piece(&mut self, now: u64, bytes: Vec<u8>) {
        let (shortest, longest) = self.weather.latency_ms;
        let mut way = u64::from(shortest) + self.dice.below(u64::from(longest.saturating_sub(shortest)) + 1);
        if self.dice.percent(self.weather.late) {
            self.mishaps.late += 1;
            way += self.dice.below(u64::from(self.weather.late_ms) + 1);
        }
        self.under_way.push(Piece { at: now.saturating_add(way), number: self.next, bytes });
        self.next += 1;
    }

    /// When the next piece arrives, ms; `None` if nothing is under way.
    #[must_use]
    pub fn next_at(&self) -> Option<u64> {
        self.under_way.iter().map(|piece| piece.at).min()
    }

    /// A piece that has arrived by `now`, ms; the earliest of them, once.
    pub fn receive(&mut self, now: u64) -> Option<Vec<u8>> {
        let arrived = self.under_way.iter().enumerate().filter(|(_, piece)| piece.at <= now);
        let (index, _) = arrived.min_by_key(|(_, piece)| (piece.at, piece.number))?;
        let piece = self.under_way.swap_remove(index);
        self.mishaps.overtaken += u64::from(piece.number < self.arrived);
        self.arrived = self.arrived.max(piece.number + 1);
        Some(piece.bytes)
    }

    /// What has happened so far.
    #[must_use]
    pub const fn mishaps(&self) -> Mishaps {
        self.mishaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUL: Weather = Weather {
        lost: 30,
        doubled: 20,
        damaged: 20,
        split: 20,
        late: 20,
        latency_ms: (5, 500),
        late_ms: 10_000,
    };

    fn drained(seed: u64) -> (Vec<Vec<u8>>, Mishaps) {
        let mut link = LossyLink::new(FOUL, seed);
        (0..1000u64).for_each(|now| link.send(now, &now.to_le_bytes()));
        let mut pieces = Vec::new();
        while let Some(at) = link.next_at() {
            pieces.extend(link.receive(at));
        }
        (pieces, link.mishaps())
    }

    #[test]
    fn same_seed_does_the_same_and_another_seed_does_not() {
        assert_eq!(drained(1), drained(1));
        assert_ne!(drained(1), drained(2));
    }

    #[test]
    fn every_mishap_happens_about_as_often_as_it_should() {
        let (pieces, mishaps) = drained(3);
        assert_eq!(mishaps.sent, 1000);
        for (found, about) in [
            (mishaps.lost, 300),
            (mishaps.doubled, 140),
            (mishaps.damaged, 168),
            (mishaps.split, 168),
            (mishaps.late, 200),
        ] {
            assert!((about * 7 / 10..about * 13 / 10).contains(&found), "{found} instead of {about}");
        }
        assert!(mishaps.overtaken > 300);
        let copies = mishaps.sent - mishaps.lost + mishaps.doubled;
        assert_eq!(pieces.len() as u64, copies + mishaps.split);
        assert!(pieces.iter().all(|piece| !piece.is_empty()));
    }
}
