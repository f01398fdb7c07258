//! Enough understanding of Rust text for the rules: what is code and not a comment or a literal, what is a test, where
//! functions begin and end. Not a parser; `rustfmt` has given the text its shape.

use crate::tree::{File, Tree};

/// A Rust file with comments, literals and test modules blanked out; every line keeps its number.
pub(crate) struct Source<'a> {
    /// The file.
    pub(crate) file: &'a File,
    /// The code that ships.
    pub(crate) code: String,
    /// How many lines the file has outside its test modules.
    pub(crate) lines: usize,
}

/// A function in [`Source::code`].
pub(crate) struct Function<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// The line of `fn`, from 1.
    pub(crate) line: usize,
    /// Whether it is `pub`, and not only within its crate.
    pub(crate) is_public: bool,
    /// What stands between the parentheses.
    pub(crate) parameters: &'a str,
    /// Lines with code from `fn` to the closing brace.
    pub(crate) length: usize,
}

/// Every Rust file that ships, that is, not the tests, benches and examples.
pub(crate) fn shipped(tree: &Tree) -> impl Iterator<Item = Source<'_>> {
    let modules: Vec<String> = tree.ending(".rs").flat_map(test_modules).collect();
    let is_test_module = move |path: &str| {
        modules.iter().filter_map(|module| path.strip_prefix(module.as_str())).any(|rest| rest.starts_with(['.', '/']))
    };
    tree.ending(".rs").filter(move |file| !is_test_path(&file.path) && !is_test_module(&file.path)).map(Source::read)
}

/// The paths, without `.rs`, of the modules that a file declares for tests only.
fn test_modules(file: &File) -> Vec<String> {
    let (directory, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let stem = name.trim_end_matches(".rs");
    let home =
        if matches!(stem, "lib" | "main" | "mod") { directory.to_owned() } else { format!("{directory}/{stem}") };
    let declared = file.text.split("#[cfg(test)]").skip(1).filter_map(|after| {
        let name = after.trim_start().strip_prefix("mod ")?.split_once(';')?.0;
        name.chars().all(|c| c.is_alphanumeric() || c == '_').then_some(name)
    });
    declared.map(|name| format!("{home}/{name}")).collect()
}

fn is_test_path(path: &str) -> bool {
    let mut parts = path.split('/');
    let name = parts.next_back().unwrap_or_default();
    name == "tests.rs"
        || name.ends_with("_tests.rs")
        || parts.any(|part| matches!(part, "tests" | "benches" | "examples" | "fuzz"))
}

impl<'a> Source<'a> {
    /// Reads a file.
    pub(crate) fn read(file: &'a File) -> Source<'a> {
        let (code, lines) = without_test_modules(&blank_comments_and_literals(&file.text));
        Source { file, code, lines }
    }

    /// The functions with a body.
    pub(crate) fn functions(&self) -> Vec<Function<'_>> {
        words(&self.code, "fn").filter_map(|at| function_at(&self.code, at)).collect()
    }
}

/// Where a word stands in code, not as part of a longer one. The word may be a path such as `std::fs`.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| !code[..at].ends_with(is_part) && !code[at + word.len()..].starts_with(is_part))
}

/// The number of the line, from 1, of a place in a text.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Splits at commas that are not inside brackets of any kind.
pub(crate) fn split_parameters(parameters: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, c) in parameters.char_indices() {
        match c {
            '(' | '[' | '{' | '<' => depth += 1,
            '>' if parameters[..at].ends_with('-') => {}
            ')' | ']' | '}' | '>' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(parameters[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(parameters[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

fn function_at(code: &str, at: usize) -> Option<Function<'_>> {
    let name = code[at + 2..].trim_start();
    let name = &name[..name.find(|c: char| !c.is_alphanumeric() && c != '_')?];
    let open = at + code[at..].find('(')?;
    let close = closing(code, open)?;
    let body = body_start(code, close + 1)?;
    if name.is_empty() {
        return None;
    }
    let end = closing(code, body)?;
    let line_start = code[..at].rfind('\n').map_or(0, |newline| newline + 1);
    Some(Function {
        name,
        line: line_of(code, at),
        is_public: code[line_start..at].trim_start().starts_with("pub "),
        parameters: &code[open + 1..close],
        length: code[at..=end].lines().filter(|line| !line.trim().is_empty()).count(),
    })
}

/// The brace that opens the body of a function whose parameters end before `from`; a declaration has none.
fn body_start(code: &str, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += code[at..].find(['{', ';', '[', '('])?;
        match code.as_bytes()[at] {
            b'{' => return Some(at),
            b';' => return None,
            // An array type has a semicolon of its own.
            _ => at = closing(code, at)? + 1,
        }
    }
}

/// The place of the bracket that closes the one at `open`.
fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in code[open..].char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(open + at);
                }
            }
            _ => {}
        }
    }
    None
}

/// Blanks every `#[cfg(test)] mod … { … }` at the left margin; counts the lines that remain.
fn without_test_modules(code: &str) -> (String, usize) {
    let mut kept = String::with_capacity(code.len());
    let mut count = 0;
    let mut inside = false;
    let mut lines = code.lines().peekable();
    while let Some(line) = lines.next() {
        let opens = line.trim_end() == "#[cfg(test)]"
            && lines.peek().is_some_and(|next| next.contains("mod ") && next.trim_end().ends_with('{'));
        inside |= opens;
        if !inside {
            kept.push_str(line);
            count += 1;
        } else if line.starts_with('}') {
            inside = false;
        }
        kept.push('\n');
    }
    (kept, count)
}

/// Replaces every character of comments and of what stands in string and character literals by a space.
fn blank_comments_and_literals(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let previous = out.chars().next_back();
        let length = literal_length(rest, previous).unwrap_or(0);
        if length == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            // The quotes of a literal stay visible, so that it is still something and not nothing.
            let is_kept = |c: char| c == '\n' || (c == '"' && !rest.starts_with('/'));
            out.extend(rest[..length].chars().map(|c| if is_kept(c) { c } else { ' ' }));
            rest = &rest[length..];
        }
    }
    out
}

/// How long the comment or literal is that begins here, if one does.
fn literal_length(rest: &str, previous: Option<char>) -> Option<usize> {
    let after_word = previous.is_some_and(|c| c.is_alphanumeric() || c == '_');
    match rest.as_bytes() {
        [b'/', b'/', ..] => Some(rest.find('\n').unwrap_or(rest.len())),
        [b'/', b'*', ..] => Some(block_comment_length(rest)),
        [b'"', ..] => Some(quoted_length(rest, '"')),
        [b'r', b'"' | b'#', ..] | [b'b', b'r', b'"' | b'#', ..] if !after_word => raw_string_length(rest),
        [b'\'', ..] => is_character_literal(rest).then(|| quoted_length(rest, '\'')),
        _ => None,
    }
}

fn block_comment_length(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn quoted_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

fn raw_string_length(rest: &str) -> Option<usize> {
    let open = rest.find('"')?;
    let hashes = rest[..open].trim_start_matches('b').strip_prefix('r')?;
    if !hashes.chars().all(|c| c == '#') {
        return None; // a raw identifier
    }
    let end = format!("\"{hashes}");
    Some(rest[open + 1..].find(&end).map_or(rest.len(), |at| open + 1 + at + end.len()))
}

/// Tells `'a'` from the lifetime `'a`.
fn is_character_literal(rest: &str) -> bool {
    let mut characters = rest.chars().skip(1);
    match characters.next() {
        Some('\\') => true,
        Some(_) => characters.next() == Some('\''),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> File {
        File { path: "crates/x/src/a.rs".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn comments_and_literals_are_blank_and_keep_their_length() {
        let text = "a /* b /* \"c\" */ d */ e // \"f\"\n\"g \\\" h\" r#\"i \" j\"# 'k' '\\'' &'l str br\"m\" for n";
        let blank = blank_comments_and_literals(text);
        let words: Vec<&str> = blank.split([' ', '"', '\n']).filter(|word| !word.is_empty()).collect();
        assert_eq!(words, ["a", "e", "&'l", "str", "for", "n"]);
        assert_eq!(blank.len(), text.len());
        assert_eq!(line_of(&blank, blank.find("&'l").unwrap()), 2);
    }

    #[test]
    fn test_modules_are_left_out_and_what_follows_is_kept() {
        let text = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
        let file = file(text);
        let source = Source::read(&file);
        let found: Vec<(&str, usize)> = source.functions().iter().map(|found| (found.name, found.line)).collect();
        assert_eq!(found, [("a", 1), ("c", 7)]);
        assert_eq!(source.lines, 3);
    }

    #[test]
    fn functions_have_parameters_length_and_reach() {
        let text = "pub async fn a<T>(x: &[T], f: fn(bool) -> u8) -> [T; 1] {\n    // why\n    b();\n\n}\n\
                    pub(crate) fn b() {}\ntrait T {\n    fn c();\n}\n";
        let file = file(text);
        let source = Source::read(&file);
        let functions = source.functions();
        assert_eq!(functions.len(), 2);
        assert_eq!((functions[0].name, functions[0].length, functions[0].is_public), ("a", 3, true));
        assert_eq!(split_parameters(functions[0].parameters), ["x: &[T]", "f: fn(bool) -> u8"]);
        assert!(!functions[1].is_public);
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(words("axum::x; my_axum; axum_y; (axum)", "axum").collect::<Vec<_>>(), [0, 27]);
    }

    #[test]
    fn tests_do_not_ship() {
        let paths =
            ["crates/a/tests/it/main.rs", "crates/a/src/tests.rs", "crates/a/src/latest.rs", "src/contests/a.rs"];
        let tree = Tree::of(&paths.map(|path| (path, "")));
        let left: Vec<&str> = shipped(&tree).map(|source| source.file.path.as_str()).collect();
        assert_eq!(left, ["crates/a/src/latest.rs", "src/contests/a.rs"]);
    }

    #[test]
    fn modules_declared_for_tests_do_not_ship() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", "mod b;\n#[cfg(test)]\nmod vectors;\n"),
            ("crates/a/src/b.rs", "#[cfg(test)]\nmod check;"),
            ("crates/a/src/b/check.rs", ""),
            ("crates/a/src/vectors.rs", ""),
            ("crates/a/src/vectors/deep.rs", ""),
            ("crates/a/src/vectors_of_b.rs", ""),
        ]);
        let left: Vec<&str> = shipped(&tree).map(|source| source.file.path.as_str()).collect();
        assert_eq!(left, ["crates/a/src/lib.rs", "crates/a/src/b.rs", "crates/a/src/vectors_of_b.rs"]);
    }
}
