//! Which interpreter runs the app, and which file is the extension module for it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use plan::AppPlan;

/// Oldest minor version of CPython 3 that the extension is built for.
const MINOR_MIN: u32 = 9;

/// Finds the app's interpreter: the virtualenv that the configuration names, the one that is
/// active, the one that this program is installed in, or `python3`.
///
/// # Errors
/// None is there, or it is not a CPython 3.9 or later; in words, with what to do.
pub fn interpreter(plan: &AppPlan) -> Result<PathBuf, String> {
    let path = choose(plan)?;
    verify(&path)?;
    Ok(path)
}

fn choose(plan: &AppPlan) -> Result<PathBuf, String> {
    if let Some(root) = &plan.python.virtualenv {
        return in_virtualenv(root, "the configuration names");
    }
    let given = plan.python.env.iter().find(|(name, _)| name == "VIRTUAL_ENV");
    let active = given.map(|(_, value)| value.into()).or_else(|| std::env::var_os("VIRTUAL_ENV"));
    if let Some(root) = active.filter(|root| !root.is_empty()) {
        return in_virtualenv(Path::new(&root), "the variable `VIRTUAL_ENV` names");
    }
    if let Some(beside) = own_directory().map(|folder| folder.join("python"))
        && sys::files::executable(&beside)
    {
        return Ok(beside);
    }
    on_path("python3").ok_or_else(|| {
        "there is no `python3` on the PATH\n  hint: install Python 3.9 or later, or name the app's \
         virtualenv with `virtualenv = /path`"
            .to_owned()
    })
}

fn in_virtualenv(root: &Path, who: &str) -> Result<PathBuf, String> {
    let shown = root.display();
    if !root.is_dir() {
        return Err(format!("{who} a virtualenv that does not exist: {shown}"));
    }
    for name in ["python", "python3"] {
        let path = root.join("bin").join(name);
        if path.exists() {
            if sys::files::executable(&path) {
                return Ok(path);
            }
            return Err(format!(
                "{who} an interpreter that may not be executed: {}",
                path.display()
            ));
        }
    }
    Err(format!(
        "{who} a directory without an interpreter: {shown}\n  hint: `{shown}/bin/python` is \
         missing; make a virtualenv with `python3 -m venv {shown}`"
    ))
}

/// Asks the interpreter what it is: an extension loaded into the wrong one would only crash.
fn verify(path: &Path) -> Result<(), String> {
    const QUESTION: &str = "import sys; print(sys.implementation.name, *sys.version_info[:2])";
    let shown = path.display();
    let output = Command::new(path)
        .args(["-S", "-E", "-c", QUESTION])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run the interpreter `{shown}`: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut words = said.split(' ');
    let name = words.next().unwrap_or_default();
    let number = |word: Option<&str>| word.and_then(|word| word.parse::<u32>().ok());
    let version = (number(words.next()), number(words.next()));
    match (name, version) {
        ("cpython", (Some(3), Some(minor))) if minor >= MINOR_MIN => Ok(()),
        ("cpython", (Some(major), Some(minor))) => {
            Err(format!("CPython 3.{MINOR_MIN} or later is needed, `{shown}` is {major}.{minor}"))
        }
        ("", _) => Err(format!(
            "`{shown}` is not a Python interpreter that works: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        _ => Err(format!("CPython is needed, `{shown}` is {name}")),
    }
}

/// `uwsgi --python-version`: the version of the interpreter that would run the app.
///
/// # Errors
/// As [`interpreter`].
pub fn version(plan: Option<&AppPlan>) -> Result<String, String> {
    let path = match plan {
        Some(plan) => interpreter(plan)?,
        None => own_directory()
            .map(|folder| folder.join("python"))
            .filter(|path| sys::files::executable(path))
            .or_else(|| on_path("python3"))
            .ok_or("there is no `python3` on the PATH")?,
    };
    let question = "import platform; print(platform.python_version())";
    let output = Command::new(&path).args(["-c", question]).output();
    let output = output
        .map_err(|error| format!("cannot run the interpreter `{}`: {error}", path.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Finds the extension module: beside the executable, in `../lib/propylon`, or among the site
/// packages of the environment that this program is installed in.
///
/// # Errors
/// It is nowhere; in words, with the places looked at.
pub fn extension() -> Result<PathBuf, String> {
    let folder = own_directory().ok_or("cannot find out where this program is installed")?;
    let mut places = vec![
        folder.join("_pyhost.abi3.so"),
        folder.join("lib_pyhost.so"),
        folder.join("libpyhost.so"),
        folder.join("../lib/propylon/_pyhost.abi3.so"),
    ];
    for library in ["../lib", "../lib64"] {
        let versions = std::fs::read_dir(folder.join(library)).into_iter().flatten().flatten();
        let mut versions: Vec<PathBuf> = versions
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("python3"))
            .map(|entry| entry.path())
            .collect();
        versions.sort();
        for version in versions {
            for packages in ["site-packages", "dist-packages"] {
                places.push(version.join(packages).join("propylon/_pyhost.abi3.so"));
            }
        }
    }
    if let Some(found) = places.iter().find(|place| place.is_file()) {
        return Ok(std::fs::canonicalize(found).unwrap_or_else(|_| found.clone()));
    }
    let looked: Vec<String> = places.iter().map(|place| format!("`{}`", place.display())).collect();
    Err(format!(
        "the Python extension `_pyhost.abi3.so` is missing; looked for {}\n  hint: install \
         propylon again",
        looked.join(", ")
    ))
}

/// The directory of the executable, links followed.
fn own_directory() -> Option<PathBuf> {
    std::env::current_exe().ok()?.parent().map(Path::to_path_buf)
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsStr::new("/usr/bin:/bin").into());
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file() && sys::files::executable(candidate))
}
