//! The page is built before the server, and committed. This only says so when it is missing.

fn main() {
    println!("cargo::rerun-if-changed=../web/dist");
    assert!(
        std::path::Path::new("../web/dist/index.html").exists(),
        "web/dist/index.html is missing: run `npm ci && npm run build` in web/"
    );
}
