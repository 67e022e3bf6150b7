//! Prints the reference of all uWSGI options: `docs/uwsgi-options.md` is its output.

fn main() {
    print!("{}", conf_uwsgi::reference());
}
