//! Which files the app has been imported from, for whoever watches them (`py-autoreload`).

use std::path::PathBuf;

use plan::AppPlan;
use plan::app::AppSource;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Where installed things are: nobody edits those while the app runs.
const INSTALLED: [&str; 4] = ["stdlib", "platstdlib", "purelib", "platlib"];

/// The sources of all modules that are loaded now, without those that are installed or that the plan
/// leaves out; and the files that the plan names, loaded or not, so that a broken one can be mended.
///
/// # Errors
/// The interpreter's own tables are not what they should be.
pub fn loaded(py: Python<'_>, plan: &AppPlan) -> PyResult<Vec<PathBuf>> {
    let paths = py.import("sysconfig")?.call_method0("get_paths")?;
    let installed: Vec<PathBuf> =
        INSTALLED.iter().filter_map(|name| paths.get_item(name).ok()?.extract().ok()).collect();
    let modules = py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?;
    let mut files: Vec<PathBuf> = Vec::new();
    // A copy: looking at an attribute can import something.
    for (name, module) in modules.copy()?.iter() {
        let name: String = name.extract().unwrap_or_default();
        let file = module.getattr("__file__").and_then(|file| file.extract::<PathBuf>());
        // Built-in modules and packages without a file of their own.
        let Ok(file) = file else { continue };
        let is_installed = installed.iter().any(|directory| file.starts_with(directory));
        if !is_installed && !plan.watch.ignored_modules.contains(&name) {
            files.push(std::path::absolute(&file).unwrap_or(file));
        }
    }
    for load in &plan.load {
        if let AppSource::File { path, .. } = &load.source {
            files.push(std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        }
    }
    files.sort_unstable();
    files.dedup();
    Ok(files)
}
