//! Memory that can be looked at word by word.

use core::hint::black_box;

/// Words that can be read.
///
/// Lend a `[u32]` where the memory is yours. For memory that something else writes as well, such as a stack in use,
/// implement this with volatile reads:
///
/// ```
/// use ota_agent::self_test::Words;
///
/// /// The stack, which begins where the linker script says.
/// struct Stack {
///     lowest: *const u32,
///     words: usize,
/// }
///
/// impl Words for Stack {
///     fn count(&self) -> usize {
///         self.words
///     }
///
///     fn word(&self, at: usize) -> u32 {
///         assert!(at < self.words);
///         // SAFETY: the linker script reserves `words` words from `lowest` on.
///         unsafe { self.lowest.add(at).read_volatile() }
///     }
/// }
/// # let region = [7, 8, 9];
/// # let stack = Stack { lowest: region.as_ptr(), words: region.len() };
/// assert_eq!((0..stack.count()).map(|at| stack.word(at)).collect::<Vec<_>>(), [7, 8, 9]);
/// ```
pub trait Words {
    /// How many there are.
    fn count(&self) -> usize;

    /// Word `at`, below [`Self::count`], read from memory each time.
    fn word(&self, at: usize) -> u32;
}

/// Words that can also be written.
///
/// An implementation must reach the memory at every call, in the order of calls. The one for `[u32]` shows each
/// access to [`core::hint::black_box`], because the compiler may otherwise answer a read with what was written just
/// before. A data cache in front of the memory would do the same: test memory that is not cached, or implement this
/// for yours.
pub trait Cells: Words {
    /// Writes word `at`, below [`Words::count`].
    fn set_word(&mut self, at: usize, word: u32);
}

impl Words for [u32] {
    fn count(&self) -> usize {
        self.len()
    }

    fn word(&self, at: usize) -> u32 {
        black_box(self).get(at).copied().unwrap_or_default()
    }
}

impl Cells for [u32] {
    fn set_word(&mut self, at: usize, word: u32) {
        if let Some(cell) = black_box(self).get_mut(at) {
            *cell = word;
        }
    }
}

impl<const N: usize> Words for [u32; N] {
    fn count(&self) -> usize {
        N
    }

    fn word(&self, at: usize) -> u32 {
        self.as_slice().word(at)
    }
}

impl<const N: usize> Cells for [u32; N] {
    fn set_word(&mut self, at: usize, word: u32) {
        self.as_mut_slice().set_word(at, word);
    }
}
