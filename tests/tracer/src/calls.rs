//! The system calls that change files: which they are, when they count, and what they are called on.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use nix::libc::{self, c_long, user_regs_struct};
use nix::unistd::Pid;

/// When a call of this number counts, as far as its arguments say it; so much is left to the kernel, which stops for nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    /// If the argument has one of these bits.
    Bits(u8, u32),
    /// If the argument is one of these two.
    OneOf(u8, [u32; 2]),
    /// If both arguments have one of these bits.
    BothBits([(u8, u32); 2]),
}

/// Where a call says what it is called on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    /// A path relative to the working directory.
    Path(usize),
    /// A directory handle, and a path relative to it.
    At(usize, usize),
    /// A handle of anything.
    Handle(usize),
    /// A handle that counts if it is a regular file's.
    File(usize),
    Nothing,
}

/// A system call that can change files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) number: c_long,
    pub(crate) name: &'static str,
    pub(crate) when: When,
    on: On,
    /// The new name, where there is one.
    to: On,
}

/// Flags of an open that makes or empties a file. The bit of `O_TMPFILE` without that of `O_DIRECTORY`.
const MAKES: u32 = (libc::O_CREAT | libc::O_TRUNC | (libc::O_TMPFILE & !libc::O_DIRECTORY)) as u32;
const FICLONE: u32 = 0x4004_9409;
const FICLONERANGE: u32 = 0x4020_940d;

const fn on(number: c_long, name: &'static str, on: On) -> Kind {
    Kind { number, name, when: When::Always, on, to: On::Nothing }
}

const fn when(number: c_long, name: &'static str, when: When, on: On) -> Kind {
    Kind { number, name, when, on, to: On::Nothing }
}

const fn from_to(number: c_long, name: &'static str, on: On, to: On) -> Kind {
    Kind { number, name, when: When::Always, on, to }
}

pub(crate) const KINDS: &[Kind] = &[
    when(libc::SYS_open, "open", When::Bits(1, MAKES), On::Path(0)),
    on(libc::SYS_creat, "creat", On::Path(0)),
    when(libc::SYS_openat, "openat", When::Bits(2, MAKES), On::At(0, 1)),
    // Its flags are in memory, which the kernel does not look at for us.
    on(libc::SYS_openat2, "openat2", On::At(0, 1)),
    on(libc::SYS_write, "write", On::File(0)),
    on(libc::SYS_pwrite64, "pwrite64", On::File(0)),
    on(libc::SYS_writev, "writev", On::File(0)),
    on(libc::SYS_pwritev, "pwritev", On::File(0)),
    on(libc::SYS_pwritev2, "pwritev2", On::File(0)),
    on(libc::SYS_copy_file_range, "copy_file_range", On::File(2)),
    on(libc::SYS_sendfile, "sendfile", On::File(0)),
    on(libc::SYS_splice, "splice", On::File(2)),
    when(libc::SYS_ioctl, "ioctl(FICLONE)", When::OneOf(1, [FICLONE, FICLONERANGE]), On::File(0)),
    on(libc::SYS_truncate, "truncate", On::Path(0)),
    on(libc::SYS_ftruncate, "ftruncate", On::File(0)),
    on(libc::SYS_fallocate, "fallocate", On::File(0)),
    from_to(libc::SYS_rename, "rename", On::Path(0), On::Path(1)),
    from_to(libc::SYS_renameat, "renameat", On::At(0, 1), On::At(2, 3)),
    from_to(libc::SYS_renameat2, "renameat2", On::At(0, 1), On::At(2, 3)),
    from_to(libc::SYS_link, "link", On::Path(0), On::Path(1)),
    from_to(libc::SYS_linkat, "linkat", On::At(0, 1), On::At(2, 3)),
    on(libc::SYS_symlink, "symlink", On::Path(1)),
    on(libc::SYS_symlinkat, "symlinkat", On::At(1, 2)),
    on(libc::SYS_unlink, "unlink", On::Path(0)),
    on(libc::SYS_unlinkat, "unlinkat", On::At(0, 1)),
    on(libc::SYS_mkdir, "mkdir", On::Path(0)),
    on(libc::SYS_mkdirat, "mkdirat", On::At(0, 1)),
    on(libc::SYS_rmdir, "rmdir", On::Path(0)),
    on(libc::SYS_mknod, "mknod", On::Path(0)),
    on(libc::SYS_mknodat, "mknodat", On::At(0, 1)),
    on(libc::SYS_fsync, "fsync", On::Handle(0)),
    on(libc::SYS_fdatasync, "fdatasync", On::Handle(0)),
    on(libc::SYS_syncfs, "syncfs", On::Handle(0)),
    on(libc::SYS_sync, "sync", On::Nothing),
    on(libc::SYS_sync_file_range, "sync_file_range", On::Handle(0)),
    on(libc::SYS_msync, "msync", On::Nothing),
    on(libc::SYS_chmod, "chmod", On::Path(0)),
    on(libc::SYS_fchmod, "fchmod", On::Handle(0)),
    on(libc::SYS_fchmodat, "fchmodat", On::At(0, 1)),
    on(libc::SYS_fchmodat2, "fchmodat2", On::At(0, 1)),
    on(libc::SYS_chown, "chown", On::Path(0)),
    on(libc::SYS_fchown, "fchown", On::Handle(0)),
    on(libc::SYS_fchownat, "fchownat", On::At(0, 1)),
    on(libc::SYS_utimensat, "utimensat", On::At(0, 1)),
    on(libc::SYS_setxattr, "setxattr", On::Path(0)),
    on(libc::SYS_fsetxattr, "fsetxattr", On::Handle(0)),
    // What is stored through a map, or by a ring, is seen by nobody here.
    when(
        libc::SYS_mmap,
        "mmap(MAP_SHARED, PROT_WRITE)",
        When::BothBits([(2, libc::PROT_WRITE as u32), (3, libc::MAP_SHARED as u32)]),
        On::File(4),
    ),
    on(libc::SYS_io_uring_setup, "io_uring_setup", On::Nothing),
];

/// A call that is about to happen.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    /// What it is called on, and what that becomes.
    pub(crate) paths: Vec<PathBuf>,
    /// Whether nobody can see what it leads to.
    pub(crate) hidden: bool,
    pub(crate) syncs: bool,
    pub(crate) exchanges: bool,
}

impl Call {
    /// The call that `process` has stopped before; none if it changes no file.
    pub(crate) fn read(process: Pid, regs: &user_regs_struct) -> Option<Self> {
        let number = c_long::try_from(regs.orig_rax).ok()?;
        let kind = KINDS.iter().find(|kind| kind.number == number)?;
        if let On::File(at) = kind.on
            && !is_file(process, argument(regs, at))
        {
            return None;
        }
        if number == libc::SYS_openat2 && word(process, regs.rdx)? & u64::from(MAKES) == 0 {
            return None;
        }
        let paths = [kind.on, kind.to].into_iter().filter_map(|on| path(process, regs, on)).collect();
        Some(Self {
            name: kind.name,
            paths,
            hidden: matches!(number, libc::SYS_mmap | libc::SYS_io_uring_setup),
            syncs: kind.name.contains("sync"),
            exchanges: number == libc::SYS_renameat2 && regs.r8 & u64::from(libc::RENAME_EXCHANGE) != 0,
        })
    }

    /// Whether its result is a number of bytes that were written.
    pub(crate) fn writes(&self) -> bool {
        self.name.contains("write") || matches!(self.name, "copy_file_range" | "sendfile" | "splice")
    }
}

/// A word of a program's memory that was changed for one call, and what it was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Changed {
    address: u64,
    was: u64,
}

impl Changed {
    /// Puts it back.
    pub(crate) fn restore(self, process: Pid) {
        let _ = memory(process).map(|memory| memory.write_all_at(&self.was.to_le_bytes(), self.address));
    }
}

/// Makes the call write half of what it was to write; none if that is nothing at all. What it changes in the memory of the program must be
/// put back once the call is made.
pub(crate) fn halve(process: Pid, regs: &mut user_regs_struct) -> Option<Option<Changed>> {
    let left = match c_long::try_from(regs.orig_rax).ok()? {
        libc::SYS_write | libc::SYS_pwrite64 => {
            regs.rdx /= 2;
            regs.rdx
        }
        libc::SYS_writev | libc::SYS_pwritev | libc::SYS_pwritev2 => return halve_slices(process, regs).map(Some),
        libc::SYS_copy_file_range => {
            regs.r8 = regs.r8.min(left_of_file(process, regs.rdi, regs.rsi)) / 2;
            regs.r8
        }
        libc::SYS_sendfile => {
            regs.r10 = regs.r10.min(left_of_file(process, regs.rsi, regs.rdx)) / 2;
            regs.r10
        }
        _ => 0,
    };
    (left > 0).then_some(None)
}

/// Cuts the slices of a vectored write.
fn halve_slices(process: Pid, regs: &mut user_regs_struct) -> Option<Changed> {
    let lengths: Vec<u64> = (0..regs.rdx).map(|at| word(process, regs.rsi + 16 * at + 8)).collect::<Option<_>>()?;
    let mut left = lengths.iter().sum::<u64>() / 2;
    if left == 0 {
        return None;
    }
    for (at, &length) in (0..).zip(&lengths) {
        if length >= left {
            let address = regs.rsi + 16 * at + 8;
            memory(process)?.write_all_at(&left.to_le_bytes(), address).ok()?;
            regs.rdx = at + 1;
            return Some(Changed { address, was: length });
        }
        left -= length;
    }
    None
}

/// Bytes between a place in a file, given by a pointer to it or else the file's own position, and the end of the file.
fn left_of_file(process: Pid, handle: u64, place: u64) -> u64 {
    let size = std::fs::metadata(format!("/proc/{process}/fd/{handle}")).map_or(0, |file| file.len());
    let position = if place == 0 { position(process, handle) } else { word(process, place) };
    size.saturating_sub(position.unwrap_or(0))
}

fn position(process: Pid, handle: u64) -> Option<u64> {
    let info = std::fs::read_to_string(format!("/proc/{process}/fdinfo/{handle}")).ok()?;
    info.lines().find_map(|line| line.strip_prefix("pos:"))?.trim().parse().ok()
}

fn argument(regs: &user_regs_struct, at: usize) -> u64 {
    [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9][at]
}

/// Whether a handle is that of a file, and not of a terminal, a pipe or memory.
fn is_file(process: Pid, handle: u64) -> bool {
    let link = format!("/proc/{process}/fd/{handle}");
    std::fs::metadata(&link).is_ok_and(|file| file.is_file())
        && !std::fs::read_link(&link).is_ok_and(|path| path.to_string_lossy().starts_with("/memfd:"))
}

fn path(process: Pid, regs: &user_regs_struct, on: On) -> Option<PathBuf> {
    let text = |at| text(process, argument(regs, at)).map(PathBuf::from);
    let handle = |at| std::fs::read_link(format!("/proc/{process}/fd/{}", argument(regs, at))).ok();
    let working = || std::fs::read_link(format!("/proc/{process}/cwd")).ok();
    match on {
        On::Nothing => None,
        On::Path(at) => Some(working()?.join(text(at)?)),
        On::At(from, at) => Some(handle(from).or_else(working)?.join(text(at)?)),
        On::Handle(at) | On::File(at) => handle(at),
    }
}

fn memory(process: Pid) -> Option<File> {
    File::options().read(true).write(true).open(format!("/proc/{process}/mem")).ok()
}

fn word(process: Pid, address: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    memory(process)?.read_exact_at(&mut bytes, address).ok()?;
    Some(u64::from_le_bytes(bytes))
}

/// The text that ends with a zero byte; read page by page, since the next one may not be there.
fn text(process: Pid, mut address: u64) -> Option<OsString> {
    const PAGE: u64 = 4096;
    let memory = memory(process)?;
    let mut out = Vec::new();
    while out.len() <= libc::PATH_MAX as usize {
        let mut page = vec![0; (PAGE - address % PAGE) as usize];
        memory.read_exact_at(&mut page, address).ok()?;
        if let Some(end) = page.iter().position(|&byte| byte == 0) {
            out.extend_from_slice(&page[..end]);
            return Some(OsString::from_vec(out));
        }
        address += page.len() as u64;
        out.extend(page);
    }
    None
}
