//! The direct calls into CPython that the request path is made of.
//!
//! Only symbols that every CPython from 3.9 on exports. Each function checks the types it
//! relies on, so that the rest of the bridge needs no `unsafe` to look into Python objects.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::os::raw::c_int;
use std::slice;

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

/// C function taking its positional arguments as an array.
pub type FastFunction =
    unsafe extern "C" fn(*mut PyObject, *const *mut PyObject, ffi::Py_ssize_t) -> *mut PyObject;

/// `METH_FASTCALL`. Part of the stable ABI since 3.10; 3.9 has the same calling convention.
const METHOD_FASTCALL: c_int = 0x0080;

unsafe extern "C" {
    /// Part of the stable ABI since 3.10; exported by 3.9 too.
    fn PyUnicode_AsUTF8AndSize(text: *mut PyObject, size: *mut ffi::Py_ssize_t) -> *const c_char;
}

/// A method table entry for [`builtin`]; CPython keeps a pointer to it, hence `static`.
pub struct Method(ffi::PyMethodDef);

// SAFETY: CPython only reads the entry, and nobody else has access to the field.
unsafe impl Sync for Method {}

impl Method {
    /// An entry called `name`, which must end with a NUL byte.
    pub const fn new(name: &'static [u8], function: FastFunction) -> Method {
        Method(ffi::PyMethodDef {
            ml_name: name.as_ptr().cast::<c_char>(),
            ml_meth: ffi::PyMethodDefPointer {
                // SAFETY: the flag below tells CPython the function's real signature; it casts
                // the pointer back before it calls.
                PyCFunction: unsafe {
                    std::mem::transmute::<FastFunction, ffi::PyCFunction>(function)
                },
            },
            ml_flags: METHOD_FASTCALL,
            ml_doc: c"".as_ptr(),
        })
    }
}

/// A Python function implemented by `method`, called with `owner` as its first argument.
pub fn builtin(owner: &Bound<'_, PyAny>, method: &'static Method) -> PyResult<Py<PyAny>> {
    let entry = (&raw const method.0).cast_mut();
    // SAFETY: `entry` is static and valid, `owner` is a live object; the result is a new
    // reference or null with an exception set.
    unsafe {
        let made = ffi::PyCFunction_NewEx(entry, owner.as_ptr(), std::ptr::null_mut());
        Bound::from_owned_ptr_or_err(owner.py(), made).map(Bound::unbind)
    }
}

/// Text whose code points are the bytes of `latin1`.
pub fn text<'py>(py: Python<'py>, latin1: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let size = ffi::Py_ssize_t::try_from(latin1.len())?;
    // SAFETY: pointer and size describe `latin1`; the result is a new reference or null.
    unsafe {
        let made = ffi::PyUnicode_DecodeLatin1(latin1.as_ptr().cast(), size, std::ptr::null());
        Bound::from_owned_ptr_or_err(py, made)
    }
}

/// Bytes that `fill` writes into memory nobody has written to yet, `length` of them if it can; it
/// says how many it has written.
pub fn bytes<'py>(
    py: Python<'py>,
    length: usize,
    fill: impl FnOnce(&mut [MaybeUninit<u8>]) -> std::io::Result<usize>,
) -> PyResult<Bound<'py, PyBytes>> {
    let size = ffi::Py_ssize_t::try_from(length)?;
    // SAFETY: without a pointer to copy from, CPython sets `size` bytes aside and writes none;
    // the result is a new reference or null with an exception set.
    let made = unsafe {
        let made = ffi::PyBytes_FromStringAndSize(std::ptr::null(), size);
        Bound::from_owned_ptr_or_err(py, made)?
    };
    // SAFETY: it is a bytes object by its making.
    let made = unsafe { made.cast_into_unchecked::<PyBytes>() };
    // SAFETY: a bytes object's content, which is `length` bytes that nobody else sees yet.
    let room = unsafe {
        let start = ffi::PyBytes_AsString(made.as_ptr());
        slice::from_raw_parts_mut(start.cast::<MaybeUninit<u8>>(), length)
    };
    let written = fill(room)?;
    if written >= length {
        return Ok(made);
    }
    let written = room.get(..written).unwrap_or(&[]);
    // SAFETY: `fill` has written these.
    let written = unsafe { slice::from_raw_parts(written.as_ptr().cast::<u8>(), written.len()) };
    Ok(PyBytes::new(py, written))
}

/// Sets `dict[key] = value`.
#[inline]
pub fn set(
    dict: &Bound<'_, PyDict>,
    key: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    // SAFETY: three live objects, the first one a dict.
    let outcome = unsafe { ffi::PyDict_SetItem(dict.as_ptr(), key.as_ptr(), value.as_ptr()) };
    if outcome == 0 { Ok(()) } else { Err(PyErr::fetch(dict.py())) }
}

/// Calls `callable(first, second)` without building a tuple where CPython can avoid it.
pub fn call_with_two<'py>(
    callable: &Bound<'py, PyAny>,
    first: &Bound<'py, PyAny>,
    second: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: live objects, ended by a null pointer as this call asks for; the result is a new
    // reference or null with an exception set.
    unsafe {
        let result = ffi::PyObject_CallFunctionObjArgs(
            callable.as_ptr(),
            first.as_ptr(),
            second.as_ptr(),
            std::ptr::null_mut::<PyObject>(),
        );
        Bound::from_owned_ptr_or_err(callable.py(), result)
    }
}

/// What is wrong with something that should be text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFault {
    /// It is not a `str`.
    NotText,
    /// It has a code point above U+00FF.
    NotLatin1,
}

/// Appends the latin-1 bytes of a `str`.
pub fn push_latin1(object: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> Result<(), TextFault> {
    let pointer = object.as_ptr();
    let mut size: ffi::Py_ssize_t = 0;
    // SAFETY: a live object, seen to be a str before its text is asked for; the bytes belong to
    // it and are only used while `object` is borrowed.
    let utf8 = unsafe {
        if ffi::PyUnicode_Check(pointer) == 0 {
            return Err(TextFault::NotText);
        }
        let data = PyUnicode_AsUTF8AndSize(pointer, &raw mut size);
        if data.is_null() {
            // Lone surrogates cannot be encoded.
            ffi::PyErr_Clear();
            return Err(TextFault::NotLatin1);
        }
        slice::from_raw_parts(data.cast::<u8>(), usize::try_from(size).unwrap_or(0))
    };
    if utf8.is_ascii() {
        out.extend_from_slice(utf8);
        return Ok(());
    }
    let mut rest = utf8.iter().copied();
    while let Some(byte) = rest.next() {
        match byte {
            0..0x80 => out.push(byte),
            // U+0080 to U+00FF are two bytes in UTF-8: 1100001x 10xxxxxx.
            0xC2 | 0xC3 => match rest.next() {
                Some(tail) => out.push((byte & 0x03) << 6 | (tail & 0x3F)),
                None => return Err(TextFault::NotLatin1),
            },
            _ => return Err(TextFault::NotLatin1),
        }
    }
    Ok(())
}

/// The bytes of a `bytes` object; `None` if it is something else. They live as long as
/// `object`, which cannot change.
#[inline]
pub fn bytes_of<'a>(object: &'a Bound<'_, PyAny>) -> Option<&'a [u8]> {
    let pointer = object.as_ptr();
    // SAFETY: the type is checked before the two calls that need it; `bytes` are immutable and
    // the borrow keeps `object` alive.
    unsafe {
        if ffi::PyBytes_Check(pointer) == 0 {
            return None;
        }
        let size = usize::try_from(ffi::PyBytes_Size(pointer)).ok()?;
        Some(slice::from_raw_parts(ffi::PyBytes_AsString(pointer).cast::<u8>(), size))
    }
}

/// Number of references to an object.
pub fn references(object: &Py<PyAny>) -> isize {
    // SAFETY: a live object.
    unsafe { ffi::Py_REFCNT(object.as_ptr()) }
}

/// Argument number `index` of a [`FastFunction`]; `None` if fewer were given.
///
/// # Safety
/// `arguments` points to `count` live objects, which the caller's caller keeps alive for `'a`.
pub unsafe fn argument<'a, 'py>(
    py: Python<'py>,
    arguments: *const *mut PyObject,
    count: ffi::Py_ssize_t,
    index: usize,
) -> Option<Borrowed<'a, 'py, PyAny>> {
    if index >= usize::try_from(count).unwrap_or(0) {
        return None;
    }
    // SAFETY: `index` is below the count the caller vouches for.
    unsafe { Borrowed::from_ptr_or_opt(py, *arguments.add(index)) }
}
