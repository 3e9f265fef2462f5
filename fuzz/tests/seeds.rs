//! Every target on the files of its folder in `seeds`: examples, and every input that ever broke a promise.

use std::path::Path;

#[test]
fn seeds_keep_every_promise() {
    for (name, target) in tweedie_fuzz::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
        let mut seeds = 0;
        for entry in std::fs::read_dir(&folder).expect("a folder of seeds") {
            let path = entry.expect("an entry").path();
            println!("{}", path.display());
            target(&std::fs::read(&path).expect("a seed"));
            seeds += 1;
        }
        assert!(seeds > 0, "no seeds in {}", folder.display());
    }
}
