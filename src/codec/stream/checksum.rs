//! A checksum before or after bytes that pass.

use super::input::Pull;
use crate::codec::checksum::{Checksum, Running};
use crate::error::Result;

/// Bytes without the checksum around them, which is checked when all have passed.
///
/// Invariants
/// 1. `sum` is that of all bytes that have been passed on.
/// 2. `held` are the bytes before or behind them that may be the checksum.
pub(in crate::codec) struct Checked<P> {
    from: P,
    codec: Checksum,
    sum: Running,
    held: [u8; 4],
    held_len: usize,
    begun: bool,
    ended: bool,
}

impl<P: Pull> Checked<P> {
    pub(in crate::codec) fn new(codec: Checksum, from: P) -> Self {
        Self { from, codec, sum: codec.running(), held: [0; 4], held_len: 0, begun: false, ended: false }
    }

    /// Compares the checksum with that of what has passed.
    fn check(&mut self) -> Result<usize> {
        if self.held_len < self.held.len() {
            return Err(self.codec.too_short(self.held_len));
        }
        self.sum.check(self.held)?;
        self.ended = true;
        Ok(0)
    }

    /// Reads the checksum that comes first.
    fn begin(&mut self) -> Result<()> {
        self.begun = true;
        while self.codec.bytes_before() > 0 && self.held_len < self.held.len() {
            match self.from.pull(&mut self.held[self.held_len..])? {
                0 => break,
                got => self.held_len += got,
            }
        }
        Ok(())
    }

    /// Exchanges what was held for the last bytes of the first `got` of `out`; returns how many are left to pass on.
    fn hold_back(&mut self, out: &mut [u8], got: usize) -> usize {
        let mut joined = [0; 8];
        let len = self.held_len;
        joined[..len].copy_from_slice(&self.held[..len]);
        if got < self.held.len() {
            joined[len..len + got].copy_from_slice(&out[..got]);
            let pass = (len + got).saturating_sub(self.held.len());
            out[..pass].copy_from_slice(&joined[..pass]);
            self.held_len = len + got - pass;
            self.held[..self.held_len].copy_from_slice(&joined[pass..len + got]);
            return pass;
        }
        self.held.copy_from_slice(&out[got - 4..got]);
        self.held_len = self.held.len();
        out.copy_within(..got - 4, len);
        out[..len].copy_from_slice(&joined[..len]);
        got - 4 + len
    }
}

impl<P: Pull> Pull for Checked<P> {
    fn pull(&mut self, out: &mut [u8]) -> Result<usize> {
        if !self.begun {
            self.begin()?;
        }
        loop {
            if self.ended {
                return Ok(0);
            }
            let got = self.from.pull(out)?;
            if got == 0 {
                return self.check();
            }
            let pass = if self.codec.bytes_before() > 0 { got } else { self.hold_back(out, got) };
            if pass > 0 {
                self.sum.update(&out[..pass]);
                return Ok(pass);
            }
        }
    }
}
