//! Moving bytes between files and memory by positioned reads and writes, with short transfers and interruptions handled.

use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::fs::Advice;
use rustix::io::{Errno, Result as SysResult, retry_on_intr};

/// The largest piece that passes through memory in a copy.
pub(in crate::store) const WINDOW_BYTES: usize = 1 << 20;
/// The largest piece that one system call is asked to copy, so that a copy can be interrupted.
const KERNEL_COPY_BYTES: usize = 64 << 20;

/// Up to `len` bytes of `file` from `offset`; fewer only at the end of the file.
pub(in crate::store) fn read_at(file: &OwnedFd, offset: u64, len: usize) -> SysResult<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| Errno::NOMEM)?;
    while bytes.len() < len {
        let at = offset.checked_add(bytes.len() as u64).ok_or(Errno::OVERFLOW)?;
        let got = retry_on_intr(|| rustix::io::pread(file, spare_capacity(&mut bytes), at))?;
        if got == 0 {
            break;
        }
    }
    // The allocation may have room for more than was asked for.
    bytes.truncate(len);
    Ok(bytes)
}

/// Fills `out` from `offset` of `file`; returns how many bytes there were, fewer only at the end of the file.
pub(super) fn read_into(file: &OwnedFd, offset: u64, out: &mut [u8]) -> SysResult<usize> {
    let mut done = 0;
    while done < out.len() {
        let at = offset.checked_add(done as u64).ok_or(Errno::OVERFLOW)?;
        let got = retry_on_intr(|| rustix::io::pread(file, &mut out[done..], at))?;
        if got == 0 {
            break;
        }
        done += got;
    }
    Ok(done)
}

/// Writes all of `bytes` at `offset`.
pub(in crate::store) fn write_at(file: &OwnedFd, mut offset: u64, mut bytes: &[u8]) -> SysResult<()> {
    while !bytes.is_empty() {
        let put = retry_on_intr(|| rustix::io::pwrite(file, bytes, offset))?;
        if put == 0 {
            return Err(Errno::IO);
        }
        bytes = bytes.get(put..).ok_or(Errno::IO)?;
        offset = offset.checked_add(put as u64).ok_or(Errno::OVERFLOW)?;
    }
    Ok(())
}

/// Copies the first `size` bytes of `source` to `target`, in the kernel where it can; returns how many there were.
pub(super) fn copy(source: &OwnedFd, target: &OwnedFd, size: u64) -> SysResult<u64> {
    let done = copy_in_kernel(source, target, size)?;
    copy_through_memory(source, target, done, size)
}

/// Copies until `size`, or until the kernel cannot or copies nothing; returns how far it came.
fn copy_in_kernel(source: &OwnedFd, target: &OwnedFd, size: u64) -> SysResult<u64> {
    let mut done = 0;
    while done < size {
        let len = usize::try_from(size - done).unwrap_or(usize::MAX).min(KERNEL_COPY_BYTES);
        let (mut from, mut to) = (done, done);
        match retry_on_intr(|| rustix::fs::copy_file_range(source, Some(&mut from), target, Some(&mut to), len)) {
            // Some file systems copy nothing without saying why; reading tells whether the file ends here.
            Ok(0) => break,
            Ok(copied) => done += copied as u64,
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM | Errno::BADF | Errno::TXTBSY) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(done)
}

fn copy_through_memory(source: &OwnedFd, target: &OwnedFd, mut done: u64, size: u64) -> SysResult<u64> {
    while done < size {
        let len = usize::try_from(size - done).unwrap_or(usize::MAX).min(WINDOW_BYTES);
        let bytes = read_at(source, done, len)?;
        write_at(target, done, &bytes)?;
        done += bytes.len() as u64;
        if bytes.len() < len {
            break;
        }
    }
    Ok(done)
}

/// Tells the system to fetch these bytes of `file`, and nothing around them. Only advice.
pub(super) fn expect(file: &OwnedFd, offset: u64, len: u64) {
    let _ = rustix::fs::fadvise(file, 0, None, Advice::Random);
    let _ = rustix::fs::fadvise(file, offset, std::num::NonZeroU64::new(len), Advice::WillNeed);
}

/// Tells the system that these bytes of `file` (of no length: all behind `offset`) will not be read again soon. Only advice: whether it is taken makes no difference to the data.
pub(super) fn drop_behind(file: &OwnedFd, offset: u64, len: usize) {
    let _ = rustix::fs::fadvise(file, offset, std::num::NonZeroU64::new(len as u64), Advice::DontNeed);
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(bytes: &[u8]) -> OwnedFd {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.into()
    }

    #[test]
    fn a_read_past_the_end_is_short() {
        let f = file(b"0123456789");
        assert_eq!(read_at(&f, 4, 3).unwrap(), b"456");
        assert_eq!(read_at(&f, 8, 5).unwrap(), b"89");
        assert_eq!(read_at(&f, 10, 5).unwrap(), b"");
        assert_eq!(read_at(&f, 0, usize::MAX >> 1), Err(Errno::NOMEM), "an allocation that cannot be had is an error");
        let mut out = [b'-'; 4];
        expect(&f, 4, 4);
        assert_eq!((read_into(&f, 4, &mut out), &out), (Ok(4), b"4567"));
        assert_eq!((read_into(&f, 8, &mut out), &out), (Ok(2), b"8967"));
        assert_eq!(read_into(&f, 12, &mut out), Ok(0));
    }

    #[test]
    fn both_ways_of_copying_agree() {
        let bytes: Vec<u8> = (0..3 * WINDOW_BYTES + 17).map(|i| ((i * 31) >> 3).to_le_bytes()[0]).collect();
        let source = file(&bytes);
        let size = bytes.len() as u64;
        for through_memory in [false, true] {
            let target = file(b"");
            let copied = if through_memory { copy_through_memory(&source, &target, 0, size) } else { copy(&source, &target, size) };
            assert_eq!(copied, Ok(size));
            assert!(read_at(&target, 0, bytes.len() + 1).unwrap() == bytes);
        }
    }

    #[test]
    fn a_source_that_became_shorter_is_noticed() {
        let target = file(b"");
        assert_eq!(copy(&file(b"abc"), &target, 5), Ok(3));
    }

    #[test]
    fn a_copy_within_one_file_system_and_to_another_gives_the_same() {
        let Ok(other) = tempfile::tempfile_in("/dev/shm") else { return };
        let source = file(b"from one file system to another");
        let target = OwnedFd::from(other);
        assert_eq!(copy(&source, &target, 31), Ok(31));
        assert_eq!(read_at(&target, 0, 64).unwrap(), b"from one file system to another");
    }
}
