//! Lists the pages of the error codes, so that the binary has them all.

use std::{env, fmt::Write, fs, io, path::Path};

fn main() -> io::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors").canonicalize()?;
    println!("cargo::rerun-if-changed={}", directory.display());
    let mut paths: Vec<_> =
        fs::read_dir(&directory)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    let mut list = String::from("[\n");
    for path in paths.iter().filter(|path| path.extension().is_some_and(|end| end == "md")) {
        let code = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if code != "README" {
            writeln!(list, "    ({code:?}, include_str!({path:?})),").map_err(io::Error::other)?;
        }
    }
    list.push_str("]\n");
    let target = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    fs::write(Path::new(&target).join("pages.rs"), list)
}
