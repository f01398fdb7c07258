//! The files of the project, as git sees them: tracked, or new and not ignored.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::shell;

/// One file. `text` is empty when it is not UTF-8.
pub(crate) struct File {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    /// What is in it.
    pub(crate) text: String,
}

/// All files, by path.
pub(crate) struct Tree {
    files: Vec<File>,
}

impl Tree {
    /// Reads the tree under `root`.
    pub(crate) fn read(root: &Path) -> Result<Tree> {
        let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"];
        let listed =
            shell::output(shell::command(root, "git", &arguments)).context("cannot list the project's files")?;
        let mut files = Vec::new();
        for path in listed.split('\0').filter(|path| !path.is_empty()) {
            // A file that git still knows but that is deleted in the working tree is gone.
            if let Ok(bytes) = fs::read(root.join(path)) {
                files.push(File { path: path.to_owned(), text: String::from_utf8(bytes).unwrap_or_default() });
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Tree { files })
    }

    /// Every file.
    pub(crate) fn files(&self) -> impl Iterator<Item = &File> {
        self.files.iter()
    }

    /// Every file whose name ends like this.
    pub(crate) fn ending(&self, end: &str) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.path.ends_with(end))
    }

    /// The text of one file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// Whether there is a file or a directory of that path; the root itself is the empty path.
    pub(crate) fn has(&self, path: &str) -> bool {
        let is_it =
            |file: &File| file.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        path.is_empty() || self.files.iter().any(is_it)
    }

    /// A tree for tests.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Tree {
        let file = |(path, text): &(&str, &str)| File { path: (*path).to_owned(), text: (*text).to_owned() };
        Tree { files: files.iter().map(file).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_their_directories_are_there() {
        let tree = Tree::of(&[("docs/errors/a.md", "text")]);
        assert!(tree.has("docs/errors/a.md") && tree.has("docs") && tree.has(""));
        assert!(!tree.has("docs/err") && !tree.has("docs/errors/a.md/b"));
        assert_eq!(tree.text("docs/errors/a.md"), Some("text"));
    }
}
