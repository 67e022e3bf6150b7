//! crypt(3): stored passwords in whatever formats the machine's library knows.
//!
//! The library is loaded when the first password asks for it. Its file has two names in the world
//! (`libcrypt.so.1` and `.2`), and most programs never need it: linked, it would keep them from
//! starting where it is missing.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;

/// `crypt_r(3)`: password, setting, room for its work.
type CryptR = unsafe extern "C" fn(*const c_char, *const c_char, *mut c_void) -> *mut c_char;

/// Room for `struct crypt_data` in words of eight bytes: the largest known is glibc's, 131,232
/// bytes.
const ROOM_WORDS: usize = 32 * 1024;

/// Files the function may be in; `None` is what is loaded already.
const LIBRARIES: [Option<&CStr>; 3] = [None, Some(c"libcrypt.so.1"), Some(c"libcrypt.so.2")];

/// There is no crypt(3) on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCrypt;

/// The password, hashed as `setting` (usually the stored hash) says. `None` if the library does
/// not know such a setting. Takes as long as the setting wants: up to seconds.
///
/// # Errors
/// If the machine has no such library.
pub fn crypt(password: &CStr, setting: &CStr) -> Result<Option<Vec<u8>>, NoCrypt> {
    static FOUND: OnceLock<Option<CryptR>> = OnceLock::new();
    let crypt_r = FOUND.get_or_init(find).ok_or(NoCrypt)?;
    let mut room = vec![0u64; ROOM_WORDS];
    // SAFETY: both texts end with NUL; `room` is zeroed, aligned for any field and larger than
    // every known `struct crypt_data` (see ROOM_WORDS).
    let hashed = unsafe { crypt_r(password.as_ptr(), setting.as_ptr(), room.as_mut_ptr().cast()) };
    if hashed.is_null() {
        return Ok(None);
    }
    // SAFETY: crypt_r(3) returns a text that ends with NUL, in `room` or static, and `room` is
    // still there.
    let hashed = unsafe { CStr::from_ptr(hashed) }.to_bytes();
    // What begins so is no hash but says that the setting is none.
    Ok((!hashed.starts_with(b"*")).then(|| hashed.to_vec()))
}

fn find() -> Option<CryptR> {
    LIBRARIES.into_iter().find_map(|library| {
        let how: c_int = libc::RTLD_NOW;
        let name = library.map_or(std::ptr::null(), CStr::as_ptr);
        // SAFETY: `name` is a text that ends with NUL, or null for the program itself.
        let handle = unsafe { libc::dlopen(name, how) };
        if handle.is_null() {
            return None;
        }
        // SAFETY: the handle is open and stays so to the end of the process.
        let symbol = unsafe { libc::dlsym(handle, c"crypt_r".as_ptr()) };
        if symbol.is_null() {
            return None;
        }
        // SAFETY: in every C library that has a function of this name, this is its type.
        Some(unsafe { std::mem::transmute::<*mut c_void, CryptR>(symbol) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_its_own_setting_and_a_locked_one_is_none() {
        let stored = c"$6$rounds=1000$abcdefgh$nhYjN017qxiYztzyUpZtPnUQcnLy62KsunSLHNeLahp2EHPlAKmFFlrjEwSXGo2kgY5hR2.peKEg2VGUqIJJu1";
        assert_eq!(crypt(c"secret", stored).unwrap().unwrap(), stored.to_bytes());
        assert_ne!(crypt(c"Secret", stored).unwrap().unwrap(), stored.to_bytes());
        assert_eq!(crypt(c"secret", c"*0"), Ok(None));
        assert_eq!(crypt(c"secret", c"$nonsense$"), Ok(None));
    }
}
