//! Golden files: texts whose form is a promise, compared to the byte. `QUORATE_BLESS=1 cargo test -p quorate`
//! writes them anew.

use std::path::Path;

/// Compares a text with a file; its path is from `src` on.
pub(crate) fn check(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
    if std::env::var_os("QUORATE_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        return;
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == text, "{file} differs; QUORATE_BLESS=1 rewrites it. Found:\n{text}");
}
