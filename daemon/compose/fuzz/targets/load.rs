//! Whole files: whatever loads is printed, and loads again to the same.

#![no_main]

use std::cell::RefCell;

use devd_compose::{Options, load, to_json, to_yaml};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static FOLDER: RefCell<Option<tempfile::TempDir>> = const { RefCell::new(None) };
}

fuzz_target!(|text: &str| {
    FOLDER.with_borrow_mut(|folder| {
        let folder = folder.get_or_insert_with(|| tempfile::tempdir().expect("a folder can be made"));
        let project = |name: &str, text: &str| {
            let dir = folder.path().join(name).join("shop");
            std::fs::create_dir_all(&dir).expect("a folder can be made");
            std::fs::write(dir.join("compose.yaml"), text).expect("a file can be written");
            let env = [("B".to_owned(), "$x".to_owned()), ("HOME".to_owned(), "/home/me".to_owned())].into();
            Options { dir, env, ..Options::default() }
        };
        let loaded = match load(&project("one", text)) {
            Ok(loaded) => loaded,
            Err(error) => {
                assert!(!error.diagnostics.is_empty() && !error.render().is_empty());
                return;
            }
        };
        let printed = to_yaml(&loaded.project);
        let again = load(&project("two", &printed));
        let again = again.unwrap_or_else(|error| panic!("what is printed does not load: {error}\n{printed}"));
        assert_eq!(to_json(&again.project), to_json(&loaded.project), "{printed}");
    });
});
