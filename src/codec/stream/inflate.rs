//! Deflate streams slab after slab: the members of `gzip`, and the one stream of `numcodecs.zlib`.

use flate2::{Decompress, FlushDecompress, Status};

use super::input::{Input, Pull};
use crate::codec::{deflate, gzip, zlib};
use crate::error::{Error, Result};

/// Which framing there is around deflate streams.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Gzip,
    Zlib,
}

/// The content of deflate streams.
pub(super) struct Inflate<'a> {
    input: Input<'a>,
    framing: Framing,
    decoder: Decompress,
    state: State,
    /// Checksum and length of what the member has given.
    hasher: crc32fast::Hasher,
    member_bytes: u64,
    /// What all members may still give.
    left: u64,
    limit: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    First,
    Body,
    /// Behind a stream.
    Next,
    End,
}

impl<'a> Inflate<'a> {
    /// `limit` is the most bytes that may come.
    pub(super) fn new(framing: Framing, limit: u64, input: Input<'a>) -> Self {
        let decoder = Decompress::new(framing == Framing::Zlib);
        let (state, hasher) = (State::First, crc32fast::Hasher::new());
        Self { input, framing, decoder, state, hasher, member_bytes: 0, left: limit, limit }
    }

    fn name(&self) -> &'static str {
        match self.framing {
            Framing::Gzip => gzip::Gzip::NAME,
            Framing::Zlib => "zlib",
        }
    }

    fn begin(&mut self) -> Result<()> {
        match self.framing {
            Framing::Gzip => {
                gzip::read_header(&mut || self.input.byte())?;
                self.decoder.reset(false);
                (self.hasher, self.member_bytes) = (crc32fast::Hasher::new(), 0);
            }
            Framing::Zlib => zlib::check_dictionary(self.input.fill()?)?,
        }
        self.state = State::Body;
        Ok(())
    }

    /// Looks at what is behind a stream.
    fn go_on(&mut self) -> Result<()> {
        match (self.framing, self.input.fill()?) {
            (_, []) => self.state = State::End,
            (Framing::Zlib, _) => return Err(Error::corrupt("zlib: bytes follow the stream")),
            (Framing::Gzip, [0, ..]) => {
                // Padding.
                loop {
                    let bytes = self.input.fill()?;
                    if bytes.is_empty() {
                        break;
                    }
                    if bytes.iter().any(|&byte| byte != 0) {
                        return Err(Error::corrupt("gzip: zeros follow a member, and then other bytes"));
                    }
                    let len = bytes.len();
                    self.input.consume(len);
                }
                self.state = State::End;
            }
            (Framing::Gzip, _) => self.begin()?,
        }
        Ok(())
    }

    /// Checks what is behind the deflate stream of a member.
    fn end(&mut self) -> Result<()> {
        if self.framing == Framing::Gzip {
            let Some(trailer) = self.input.bytes()? else { return Err(deflate::cut_off(self.name())) };
            gzip::check_trailer(trailer, self.hasher.clone().finalize(), self.member_bytes)?;
        }
        self.state = State::Next;
        Ok(())
    }

    fn body(&mut self, out: &mut [u8]) -> Result<usize> {
        let name = self.name();
        let (read, written) = (self.decoder.total_in(), self.decoder.total_out());
        let status = self.decoder.decompress(self.input.fill()?, out, FlushDecompress::None);
        let (read, made) = (self.decoder.total_in() - read, self.decoder.total_out() - written);
        self.input.consume(usize::try_from(read).unwrap_or(usize::MAX));
        self.member_bytes += made;
        let Some(left) = self.left.checked_sub(made) else { return Err(deflate::too_long(name, self.limit)) };
        self.left = left;
        let made = usize::try_from(made).unwrap_or(usize::MAX).min(out.len());
        if self.framing == Framing::Gzip {
            self.hasher.update(&out[..made]);
        }
        match status {
            Ok(Status::StreamEnd) => self.end()?,
            Ok(_) if read > 0 || made > 0 => {}
            Ok(_) => return Err(deflate::cut_off(name)),
            Err(error) => return Err(Error::corrupt(format!("{name}: {error}"))),
        }
        Ok(made)
    }
}

impl Pull for Inflate<'_> {
    fn pull(&mut self, out: &mut [u8]) -> Result<usize> {
        loop {
            match self.state {
                State::First => self.begin()?,
                State::Next => self.go_on()?,
                State::End => return Ok(0),
                State::Body => {
                    let made = self.body(out)?;
                    if made > 0 {
                        return Ok(made);
                    }
                }
            }
        }
    }
}
