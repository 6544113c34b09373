//! Who is at the other end of a line.

/// A board, as the server knows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Board {
    /// Its name in the log.
    pub name: String,
    /// Its bearer token: says to the server which device it is.
    pub token: String,
    /// How fast its line is, bits per second: how long an answer may take to be sent.
    pub baud: u32,
}

impl Board {
    /// A board whose line is as fast as the example's firmware sets it.
    #[must_use]
    pub fn new(name: &str, token: &str) -> Self {
        Self { name: name.into(), token: token.into(), baud: layout::BAUD }
    }
}

/// Says nothing of the token.
impl std::fmt::Debug for Board {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Board").field("name", &self.name).field("baud", &self.baud).finish_non_exhaustive()
    }
}
