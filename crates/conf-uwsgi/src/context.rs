//! What the configuration may ask about the machine and the process: collected once, so that a
//! test can give its own answers.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Facts about the process and the machine that magic variables and logic words use.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where relative paths start (`%v`).
    pub working_directory: PathBuf,
    /// The running executable (`%b`).
    pub program: PathBuf,
    /// Processors (`%k`).
    pub processors: usize,
    /// Host name (`%h`).
    pub host_name: String,
    /// Seconds and microseconds since 1970 (`%t`, `%T`).
    pub now: std::time::Duration,
    /// Number and name of the user (`%u`, `%U`).
    pub user: (u32, String),
    /// Number and name of the group (`%g`, `%G`).
    pub group: (u32, String),
    /// The version of uWSGI whose place we take (`%V`, `uwsgi.version`).
    pub version: &'static str,
}

impl Context {
    /// The facts of this process. What cannot be found out is left empty: only a configuration
    /// that asks for it notices.
    pub fn of_this_process() -> Context {
        let owner = std::fs::metadata("/proc/self").map(|meta| (meta.uid(), meta.gid()));
        let (user, group) = owner.unwrap_or((0, 0));
        Context {
            working_directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            program: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("propylon")),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            host_name: read_trimmed("/proc/sys/kernel/hostname"),
            now: std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap_or_default(),
            user: (user, name_in("/etc/passwd", user)),
            group: (group, name_in("/etc/group", group)),
            version: "2.0.31",
        }
    }
}

fn read_trimmed(path: &str) -> String {
    std::fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// The name of a number in a file of `name:x:number:…` lines; the number itself if it has none.
fn name_in(path: &str, number: u32) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let wanted = number.to_string();
    let named = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == wanted).then(|| name.to_owned())
    });
    named.unwrap_or(wanted)
}
