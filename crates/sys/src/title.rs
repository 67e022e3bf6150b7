//! The process title: what `ps` shows instead of the command line.
//!
//! Linux shows the bytes between `arg_start` and `arg_end`; PR_SET_MM needs privileges, so the
//! title is written over the original argument area, found through `/proc/self/stat`.

use std::ffi::CString;

/// Sets the title. Best effort: a title longer than the room of the original command line and
/// environment-free tail is cut; where `/proc` is missing only the short name (15 bytes) is set.
pub fn set(title: &str) {
    if let Ok(name) = CString::new(title.chars().take(15).collect::<String>()) {
        // SAFETY: `name` is NUL-terminated; the kernel copies at most 16 bytes.
        unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) };
    }
    let Some((start, end)) = argument_area() else { return };
    let room = end.saturating_sub(start);
    let bytes = title.as_bytes();
    let used = bytes.len().min(room.saturating_sub(1));
    for offset in 0..room {
        let byte = if offset < used { bytes.get(offset).copied().unwrap_or(0) } else { 0 };
        // SAFETY: the kernel says that the argument strings are at start..end of this process'
        // own stack, which stays mapped and writable for its whole life.
        unsafe { (start as *mut u8).add(offset).write_volatile(byte) };
    }
}

/// First and last address of the argument strings (fields 48 and 49 of proc(5) stat).
fn argument_area() -> Option<(usize, usize)> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The command name may hold blanks and brackets: fields are counted after its last bracket.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(45);
    let start = fields.next()?.parse().ok()?;
    let end = fields.next()?.parse().ok()?;
    (start != 0 && end > start).then_some((start, end))
}
