//! Digests of 128 bits that are the same on every machine and in every build: SipHash-2-4 with a fixed key.
//!
//! They tell apart what differs by chance; nobody who may write to the source gains anything by making two of them equal.

use std::fmt::Write;

/// A digest in the making.
#[derive(Clone, Debug)]
pub(super) struct Digest {
    state: [u64; 4],
    /// Bytes that do not fill a word yet, from the lowest on.
    pending: u64,
    pending_bytes: u32,
    /// Bytes taken, of which the lowest eight bits count.
    total: u8,
}

const KEY: (u64, u64) = (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);

impl Default for Digest {
    fn default() -> Self {
        let state = [
            KEY.0 ^ 0x736f_6d65_7073_6575,
            KEY.1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            KEY.0 ^ 0x6c79_6765_6e65_7261,
            KEY.1 ^ 0x7465_6462_7974_6573,
        ];
        Self { state, pending: 0, pending_bytes: 0, total: 0 }
    }
}

impl Digest {
    /// Takes bytes, as they are.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.pending |= u64::from(byte) << (8 * self.pending_bytes);
            self.pending_bytes += 1;
            self.total = self.total.wrapping_add(1);
            if self.pending_bytes == 8 {
                let word = std::mem::take(&mut self.pending);
                self.word(word);
                self.pending_bytes = 0;
            }
        }
    }

    /// Takes a text with its length, so that two texts one after another are not one.
    pub(super) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.update(text.as_bytes());
    }

    pub(super) fn number(&mut self, number: u64) {
        self.update(&number.to_le_bytes());
    }

    /// Takes what a value shows for debugging: of types whose parts all say what they are.
    pub(super) fn shown(&mut self, value: &dyn std::fmt::Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        self.text(&text);
    }

    fn word(&mut self, word: u64) {
        self.state[3] ^= word;
        self.rounds(2);
        self.state[0] ^= word;
    }

    fn rounds(&mut self, count: usize) {
        let [a, b, c, d] = &mut self.state;
        for _ in 0..count {
            *a = a.wrapping_add(*b);
            *b = b.rotate_left(13) ^ *a;
            *a = a.rotate_left(32);
            *c = c.wrapping_add(*d);
            *d = d.rotate_left(16) ^ *c;
            *a = a.wrapping_add(*d);
            *d = d.rotate_left(21) ^ *a;
            *c = c.wrapping_add(*b);
            *b = b.rotate_left(17) ^ *c;
            *c = c.rotate_left(32);
        }
    }

    pub(super) fn finish(mut self) -> u128 {
        self.word(self.pending | u64::from(self.total) << 56);
        self.state[2] ^= 0xee;
        self.rounds(4);
        let low = self.state.iter().fold(0, |sum, word| sum ^ word);
        self.state[1] ^= 0xdd;
        self.rounds(4);
        let high = self.state.iter().fold(0, |sum, word| sum ^ word);
        u128::from(high) << 64 | u128::from(low)
    }
}

/// How a digest is written.
pub(super) fn hex(digest: u128) -> String {
    format!("{digest:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> [u8; 16] {
        let mut digest = Digest::default();
        digest.update(bytes);
        digest.finish().to_le_bytes()
    }

    /// The vectors of the algorithm's authors, for messages of 0, 1 and 2 bytes.
    #[test]
    fn digests_are_those_that_are_published() {
        assert_eq!(of(&[]), [0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93]);
        assert_eq!(of(&[0]), [0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45]);
        assert_eq!(of(&[0, 1]), [0x81, 0x77, 0x22, 0x8d, 0xa4, 0xa4, 0x5d, 0xc7, 0xfc, 0xa3, 0x8b, 0xde, 0xf6, 0x0a, 0xff, 0xe4]);
    }

    #[test]
    fn parts_are_told_apart() {
        let texts = |texts: &[&str]| {
            let mut digest = Digest::default();
            texts.iter().for_each(|text| digest.text(text));
            digest.finish()
        };
        assert_ne!(texts(&["ab", "c"]), texts(&["a", "bc"]));
        assert_ne!(texts(&["", "a"]), texts(&["a", ""]));
        let mut whole = Digest::default();
        whole.update(b"0123456789abcdef!");
        let mut parts = Digest::default();
        b"0123456789abcdef!".iter().for_each(|byte| parts.update(&[*byte]));
        assert_eq!(hex(whole.finish()), hex(parts.finish()));
    }
}
