//! Where encoded bytes come from: a source that is read in windows, and the stages behind it that each pull bytes from the one before.

use crate::buffer::resize;
use crate::error::Result;

/// How many encoded bytes are read at once.
pub(crate) const WINDOW_BYTES: usize = 256 << 10;

/// Encoded bytes of one chunk, of which any part can be read.
pub(crate) trait Source {
    /// How many there are.
    fn size(&self) -> u64;

    /// Fills `out` with the bytes from `offset`, which are all there.
    ///
    /// # Errors
    /// Those of the store.
    fn read(&mut self, offset: u64, out: &mut [u8]) -> Result<()>;
}

impl<P: Pull + ?Sized> Pull for Box<P> {
    fn pull(&mut self, out: &mut [u8]) -> Result<usize> {
        (**self).pull(out)
    }

    fn skip(&mut self, bytes: u64, unit: u64) -> Result<u64> {
        (**self).skip(bytes, unit)
    }
}

impl<S: Source + ?Sized> Source for &mut S {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read(&mut self, offset: u64, out: &mut [u8]) -> Result<()> {
        (**self).read(offset, out)
    }
}

/// A stage of decoding: bytes that are made as they are asked for.
pub(in crate::codec) trait Pull {
    /// Puts the next bytes to the beginning of `out`, which is not empty, and returns how many; 0 once all are out, and what follows them has
    /// been found right.
    fn pull(&mut self, out: &mut [u8]) -> Result<usize>;

    /// Passes over up to `bytes` of the next bytes where that costs nothing, and returns over how many: a multiple of `unit`.
    fn skip(&mut self, bytes: u64, unit: u64) -> Result<u64> {
        let _ = (bytes, unit);
        Ok(0)
    }
}

/// The bytes of a source from `at` to `end`, as they are.
pub(in crate::codec) struct Window<S> {
    source: S,
    at: u64,
    end: u64,
}

impl<S: Source> Window<S> {
    pub(in crate::codec) fn all(source: S) -> Self {
        Self { at: 0, end: source.size(), source }
    }
}

impl<S: Source> Pull for Window<S> {
    fn pull(&mut self, out: &mut [u8]) -> Result<usize> {
        let len = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(out.len());
        if len > 0 {
            self.source.read(self.at, &mut out[..len])?;
            self.at += len as u64;
        }
        Ok(len)
    }

    fn skip(&mut self, bytes: u64, unit: u64) -> Result<u64> {
        let len = bytes.min(self.end - self.at);
        let len = len - len % unit.max(1);
        self.at += len;
        Ok(len)
    }
}

/// Bytes that a stage made, waiting for the next one to take them.
pub(super) struct Input<'a> {
    from: Box<dyn Pull + Send + 'a>,
    buffer: Vec<u8>,
    /// What is still to be taken of `buffer`.
    at: usize,
    end: usize,
    ended: bool,
}

impl<'a> Input<'a> {
    /// About `most` bytes will come, or fewer.
    pub(super) fn new(from: Box<dyn Pull + Send + 'a>, most: u64) -> Result<Self> {
        let mut buffer = Vec::new();
        resize(&mut buffer, usize::try_from(most).unwrap_or(WINDOW_BYTES).clamp(1 << 10, WINDOW_BYTES))?;
        Ok(Self { from, buffer, at: 0, end: 0, ended: false })
    }

    /// The next bytes; none if there are no more.
    pub(super) fn fill(&mut self) -> Result<&[u8]> {
        if self.at == self.end && !self.ended {
            (self.at, self.end) = (0, self.from.pull(&mut self.buffer)?);
            self.ended = self.end == 0;
        }
        Ok(&self.buffer[self.at..self.end])
    }

    /// Takes `len` of the bytes that [`Input::fill`] showed.
    pub(super) fn consume(&mut self, len: usize) {
        self.at = (self.at + len).min(self.end);
    }

    /// The next byte; none if there are no more.
    pub(super) fn byte(&mut self) -> Result<Option<u8>> {
        let byte = self.fill()?.first().copied();
        self.consume(1);
        Ok(byte)
    }

    /// The next `N` bytes; none if there are fewer.
    pub(super) fn bytes<const N: usize>(&mut self) -> Result<Option<[u8; N]>> {
        let mut out = [0; N];
        for to in &mut out {
            match self.byte()? {
                Some(byte) => *to = byte,
                None => return Ok(None),
            }
        }
        Ok(Some(out))
    }
}
