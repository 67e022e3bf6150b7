//! Which of this process's memory stays resident: mapped pages of files that only start-up needed
//! go, freed memory that will be wanted again in a moment stays.

use std::fs::File;
use std::io::{self, BufRead, BufReader};

/// Freed memory at the end of a heap that the allocator keeps instead of giving it back, per thread.
const KEPT_BYTES: libc::c_int = 2 * 1024 * 1024;
/// Blocks from this size on get a mapping of their own, which ends with them.
const MAPPED_BYTES_MIN: libc::c_int = 1024 * 1024;

/// Tells the allocator to keep up to 2 MB of freed memory per thread. It would give back whatever
/// is above 128 KB, so that a thread which passes on bodies gets the same few pages from the kernel
/// again for each of them, zeroed. For processes that pass on bodies. The GNU C library's
/// mallopt(3); other allocators go on as they are.
pub fn keep_freed_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: changes two numbers of the allocator, under its own lock.
    unsafe {
        // Either one alone would stop the other from following what the program allocates.
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_BYTES);
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
    }
}

/// Unmaps the pages of this process that are plain copies of a file: code and constants of the
/// program and of its libraries. Nothing is lost: they stay in the page cache as long as the
/// kernel likes, and one that is used again is mapped again. Mappings of which any page was ever
/// changed, or that could be changed, are left alone.
///
/// For a process that has finished a large piece of work and will sleep: its memory then is what
/// it needs, and the kernel need not find out by itself which pages are idle.
///
/// # Errors
/// There is no `/proc`.
pub fn release_file_pages() -> io::Result<()> {
    let mut current = None;
    for line in BufReader::new(File::open("/proc/self/smaps")?).lines() {
        let line = line?;
        if let Some(range) = file_mapping(&line) {
            // The lines that follow tell about it.
            current = range;
        } else if has_own_pages(&line) {
            current = None;
        } else if line.starts_with("Swap:")
            && let Some((start, end)) = current.take()
        {
            // SAFETY: a private mapping of a file that is read-only and has no page of its own,
            // neither in memory nor swapped out (`Anonymous` comes before `Swap`): every page is
            // read from the file again when it is used. A range that was unmapped meanwhile is
            // an error without a consequence.
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
        }
    }
    Ok(())
}

/// Whether the line says that the mapping has pages that are no copies of its file.
fn has_own_pages(line: &str) -> bool {
    let counted = line.strip_prefix("Anonymous:").or_else(|| line.strip_prefix("Swap:"));
    counted.is_some_and(|kilobytes| kilobytes.trim() != "0 kB")
}

/// `None` if the line begins no mapping; `Some(None)` if it begins one that is to be left alone.
fn file_mapping(line: &str) -> Option<Option<(usize, usize)>> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    let rights = words.next()?.as_bytes();
    // Offset, device and inode come before the path.
    let is_file = words.nth(3).is_some_and(|path| path.starts_with('/'));
    let read_only = matches!(rights, [b'r', b'-', _, b'p']);
    Some((is_file && read_only && start < end).then_some((start, end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_read_only_private_mappings_of_files_are_chosen() {
        let code = "7f00aa000000-7f00aa002000 r-xp 00001000 08:01 77   /usr/lib/libx.so (deleted)";
        assert_eq!(file_mapping(code), Some(Some((0x7f00_aa00_0000, 0x7f00_aa00_2000))));
        let data = "7f00aa000000-7f00aa002000 rw-p 00001000 08:01 77   /usr/lib/libx.so";
        assert_eq!(file_mapping(data), Some(None));
        let shared = "7f00aa000000-7f00aa002000 r--s 00001000 08:01 77   /usr/lib/libx.so";
        assert_eq!(file_mapping(shared), Some(None));
        assert_eq!(file_mapping("7f00aa000000-7f00aa002000 r--p 00000000 00:00 0"), Some(None));
        let vdso = "7ffd000d5000-7ffd000d7000 r-xp 00000000 00:00 0   [vdso]";
        assert_eq!(file_mapping(vdso), Some(None));
        assert_eq!(file_mapping("Anonymous:             0 kB"), None);
        assert_eq!(file_mapping("VmFlags: rd ex mr mw me sd"), None);
    }

    #[test]
    fn a_page_of_its_own_counts_in_memory_and_swapped_out() {
        assert!(has_own_pages("Anonymous:            12 kB"));
        assert!(has_own_pages("Swap:                  4 kB"));
        assert!(!has_own_pages("Swap:                  0 kB"));
        assert!(!has_own_pages("Private_Dirty:        12 kB"));
    }

    #[test]
    fn code_and_constants_are_the_same_afterwards() {
        const WORDS: &[&str] = &["code", "constants"];
        let before = WORDS.concat();
        release_file_pages().unwrap();
        assert_eq!(WORDS.concat(), before);
        assert_eq!(format!("{:.3}", 1.0_f64.exp()), "2.718");
    }
}
