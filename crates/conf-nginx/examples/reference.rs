//! Prints the reference of all nginx directives: `docs/nginx-directives.md` is its output.

fn main() {
    print!("{}", conf_nginx::reference::markdown());
}
