//! Framing: bytes in, lines out, never more than [`MAX_LINE`] of an unfinished one in memory.
//!
//! Messages may hold tokens, so what was read is wiped as soon as it has been taken.

use crate::secret::Wiped;

/// The longest message, in bytes without its newline.
pub const MAX_LINE: usize = 1 << 20;

/// A buffer that became larger than this, in bytes, is given back when it is empty.
const KEPT: usize = 8 * 1024;

/// The peer sent more than [`MAX_LINE`] bytes without a newline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message may have at most {MAX_LINE} bytes")]
pub struct TooLong;

/// Cuts a stream of bytes into lines.
#[derive(Default)]
pub struct Lines {
    bytes: Wiped,
    /// Where the first line that was not taken yet begins.
    start: usize,
    /// Up to where no newline was found.
    searched: usize,
}

impl Lines {
    /// Adds what was read. Take all lines before adding more, or they count towards the limit.
    ///
    /// # Errors
    /// [`TooLong`] when no message can come of it; nothing was added, and nothing can follow.
    pub fn push(&mut self, read: &[u8]) -> Result<(), TooLong> {
        let pending = self.bytes.len() - self.start;
        let first = read.iter().position(|byte| *byte == b'\n').unwrap_or(read.len());
        if pending + first > MAX_LINE {
            return Err(TooLong);
        }
        self.drop_taken();
        self.make_room(read.len());
        self.bytes.extend_from_slice(read);
        Ok(())
    }

    /// Takes the next complete line, without its newline (and without a carriage return before it).
    pub fn take(&mut self) -> Option<&[u8]> {
        let found = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n');
        let Some(length) = found else {
            self.searched = self.bytes.len();
            return None;
        };
        let (start, end) = (self.start, self.searched + length);
        self.start = end + 1;
        self.searched = self.start;
        let line = &self.bytes[start..end];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// How many bytes are held that no line was made of yet.
    pub fn pending(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Whether the peer stopped in the middle of a message.
    pub fn is_partial(&self) -> bool {
        self.start < self.bytes.len()
    }

    fn drop_taken(&mut self) {
        if self.start == 0 {
            return;
        }
        let left = self.bytes.len() - self.start;
        if left == 0 && self.bytes.capacity() > KEPT {
            *self = Self::default();
            return;
        }
        self.bytes.copy_within(self.start.., 0);
        self.bytes.cut(left);
        self.searched -= self.start;
        self.start = 0;
    }

    /// Grows by hand: a `Vec` that grows by itself leaves its old bytes behind unwiped.
    fn make_room(&mut self, more: usize) {
        let needed = self.bytes.len() + more;
        if needed > self.bytes.capacity() {
            let mut larger = Vec::with_capacity(needed.next_power_of_two());
            larger.extend_from_slice(&self.bytes);
            self.bytes = larger.into();
        }
    }
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lines({} bytes pending)", self.bytes.len() - self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(lines: &mut Lines) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| lines.take().map(<[u8]>::to_vec)).collect()
    }

    #[test]
    fn a_message_may_come_in_pieces_and_several_at_once() {
        let mut lines = Lines::default();
        lines.push(b"one\r\ntw").unwrap();
        assert_eq!(all(&mut lines), [b"one"]);
        assert!(lines.is_partial());
        lines.push(b"o\n\nthree").unwrap();
        assert_eq!(all(&mut lines), [b"two".to_vec(), b"".to_vec()]);
        lines.push(b"\n").unwrap();
        assert_eq!(all(&mut lines), [b"three"]);
        assert!(!lines.is_partial());
    }

    #[test]
    fn a_message_of_the_largest_size_passes_and_one_byte_more_does_not() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; MAX_LINE]).unwrap();
        assert_eq!(lines.push(b"x"), Err(TooLong));
        lines.push(b"\n").unwrap();
        assert_eq!(lines.take().map(<[u8]>::len), Some(MAX_LINE));
    }

    proptest! {
        #[test]
        fn cutting_does_not_depend_on_how_the_bytes_arrive(
            text in proptest::collection::vec(prop_oneof![4 => Just(b'a'), 1 => Just(b'\n')], 0..400),
            sizes in proptest::collection::vec(1usize..60, 1..40),
        ) {
            let mut lines = Lines::default();
            let (mut taken, mut rest) = (Vec::new(), &text[..]);
            for size in sizes.iter().cycle() {
                if rest.is_empty() { break; }
                let (now, later) = rest.split_at((*size).min(rest.len()));
                lines.push(now).unwrap();
                taken.extend(all(&mut lines));
                rest = later;
            }
            let mut whole: Vec<Vec<u8>> = text.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
            let unfinished = whole.pop().unwrap_or_default();
            prop_assert_eq!(taken, whole);
            prop_assert_eq!(lines.is_partial(), !unfinished.is_empty());
        }
    }

    #[test]
    fn a_long_message_leaves_no_large_buffer_behind() {
        let mut lines = Lines::default();
        lines.push(&[vec![b'x'; MAX_LINE], b"\n".to_vec()].concat()).unwrap();
        assert!(lines.take().is_some());
        lines.push(b"y").unwrap();
        assert_eq!(lines.pending(), 1);
        assert!(lines.bytes.capacity() < 64);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn memory_is_bounded_whatever_is_sent(chunks in proptest::collection::vec(1usize..200_000, 1..12)) {
            let mut lines = Lines::default();
            for size in chunks {
                if lines.push(&vec![b'x'; size]).is_err() { break; }
                prop_assert!(lines.take().is_none());
                prop_assert!(lines.bytes.capacity() <= 2 * MAX_LINE);
            }
        }
    }
}
