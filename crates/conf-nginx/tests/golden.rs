//! Configurations as data. `broken/*.conf`: the comment lines that start with `#=` at the top are
//! what nginx says, each problem one line, `FILE` for the file. `plans/*.conf`: each `#= POINTER
//! VALUE` is a place in the plan's JSON and what must stand there.

use std::fs;
use std::path::{Path, PathBuf};

use conf_nginx::{LoadOptions, Loaded, load};

fn options(file: &Path) -> LoadOptions {
    LoadOptions {
        conf_file: file.to_path_buf(),
        prefix: PathBuf::from("/prefix"),
        is_root: true,
        ..LoadOptions::default()
    }
}

fn read(file: &Path) -> Loaded {
    load(&options(file))
}

fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let entries = fs::read_dir(folder).expect("the cases are in the repository");
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "conf"));
    files.sort();
    assert!(!files.is_empty());
    files
}

fn expected(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).expect("a readable case");
    text.lines().filter_map(|line| line.strip_prefix("#= ")).map(str::to_owned).collect()
}

#[test]
fn broken_configurations_are_refused_in_nginx_s_own_words() {
    for file in cases("broken") {
        let loaded = read(&file);
        let name = file.to_str().unwrap();
        let said: Vec<String> = loaded
            .nginx_lines()
            .iter()
            .map(|line| line.replace("nginx: ", "").replace(name, "FILE"))
            .collect();
        assert_eq!(said, expected(&file), "{name}");
        assert!(loaded.plan.is_none(), "{name}");
    }
}

#[test]
fn plans_say_what_the_configuration_says() {
    for file in cases("plans") {
        let loaded = read(&file);
        let problems: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
        let plan = loaded.plan.unwrap_or_else(|| panic!("{}: {problems:?}", file.display()));
        let plan = serde_json::to_value(&plan).unwrap();
        for line in expected(&file) {
            let (pointer, value) = line.split_once(' ').unwrap();
            let value: serde_json::Value = serde_json::from_str(value).unwrap();
            let found = plan.pointer(pointer).unwrap_or(&serde_json::Value::Null);
            assert_eq!(found, &value, "{}: {pointer}", file.display());
        }
    }
}

#[test]
fn a_configuration_cut_anywhere_is_refused_or_taken_but_never_a_panic() {
    let folder = std::env::temp_dir().join(format!("conf-nginx-cut-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    for file in cases("plans").into_iter().chain(cases("broken")) {
        // Names are not looked up thousands of times.
        let text = fs::read_to_string(&file).unwrap().replace("nobody.invalid", "127.0.0.1:x");
        let bytes = text.as_bytes();
        let cut = folder.join("cut.conf");
        for end in 0..bytes.len() {
            fs::write(&cut, &bytes[..end]).unwrap();
            let loaded = read(&cut);
            assert_eq!(loaded.plan.is_none(), loaded.problems.any_error());
        }
    }
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn every_directive_is_in_the_tables_once_per_context() {
    let rows: Vec<_> = conf_nginx::directives::all().collect();
    assert!(rows.len() > 650, "{}", rows.len());
    for (index, row) in rows.iter().enumerate() {
        assert!(!row.doc.is_empty(), "{}", row.name);
        for other in &rows[index + 1..] {
            let both = row.name == other.name && row.contexts & other.contexts != 0;
            assert!(!both, "{} has two rows for one context", row.name);
        }
    }
}

#[test]
fn the_reference_page_is_what_the_tables_say() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/nginx-directives.md");
    let written = fs::read_to_string(page).unwrap();
    assert!(
        written == conf_nginx::reference::markdown(),
        "run `cargo run -p conf-nginx --example reference > docs/nginx-directives.md`"
    );
}
