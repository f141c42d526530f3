//! The filter of system calls that lets all but those of the table pass without a stop.

use std::io;
use std::mem::offset_of;

use nix::libc::{self, seccomp_data, sock_filter, sock_fprog};

use crate::calls::{KINDS, Kind, When};

/// `AUDIT_ARCH_X86_64`.
const X86_64: u32 = 0xC000_003E;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const BITS: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

const STOP: sock_filter = sock_filter { code: RETURN, jt: 0, jf: 0, k: libc::SECCOMP_RET_TRACE };
const PASS: sock_filter = sock_filter { code: RETURN, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };

/// The program of the filter.
pub(crate) fn program() -> Vec<sock_filter> {
    let mut out = vec![load(offset_of!(seccomp_data, arch)), jump(EQUAL, X86_64, 1, 0), PASS];
    for kind in KINDS {
        out.push(load(offset_of!(seccomp_data, nr)));
        let body = body(kind);
        let skipped = u8::try_from(body.len()).expect("a body is short");
        out.push(jump(EQUAL, u32::try_from(kind.number).expect("numbers of calls are small"), 0, skipped));
        out.extend(body);
    }
    out.push(PASS);
    out
}

/// What is done with a call of this number.
fn body(kind: &Kind) -> Vec<sock_filter> {
    match kind.when {
        When::Always => vec![STOP],
        When::Bits(at, bits) => vec![load_argument(at), jump(BITS, bits, 0, 1), STOP, PASS],
        When::OneOf(at, [one, other]) => vec![load_argument(at), jump(EQUAL, one, 1, 0), jump(EQUAL, other, 0, 1), STOP, PASS],
        When::BothBits([(one, these), (other, those)]) => {
            vec![load_argument(one), jump(BITS, these, 0, 3), load_argument(other), jump(BITS, those, 0, 1), STOP, PASS]
        }
    }
}

fn load(offset: usize) -> sock_filter {
    sock_filter { code: LOAD, jt: 0, jf: 0, k: u32::try_from(offset).expect("offsets are small") }
}

/// The lower half of an argument.
fn load_argument(at: u8) -> sock_filter {
    load(offset_of!(seccomp_data, args) + 8 * usize::from(at))
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// Puts this process, and all that it starts, under the filter. Allocates nothing, so that it can be called between fork and exec.
pub(crate) fn install(program: &mut [sock_filter]) -> io::Result<()> {
    nix::sys::prctl::set_no_new_privs()?;
    let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let filter = sock_fprog { len, filter: program.as_mut_ptr() };
    // SAFETY: `filter` points to `len` instructions that live until the call returns; the kernel copies them.
    let done = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const filter) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
