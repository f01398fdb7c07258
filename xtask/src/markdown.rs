//! The little of Markdown that the rules read: tables, links, code spans.

/// A table as rows of cells; the first row is the head, the line under it is left out.
pub(crate) type Table = Vec<Vec<String>>;

/// The first table whose head's first cell is `first`.
pub(crate) fn table(text: &str, first: &str) -> Option<Table> {
    let mut lines = text.lines().skip_while(|line| cells(line).first().is_none_or(|cell| cell != first));
    let head = cells(lines.next()?);
    let rows = lines.skip(1).take_while(|line| line.starts_with('|')).map(cells);
    Some(std::iter::once(head).chain(rows).collect())
}

fn cells(line: &str) -> Vec<String> {
    let Some(inner) = line.trim().strip_prefix('|') else { return Vec::new() };
    let inner = inner.strip_suffix('|').unwrap_or(inner);
    inner.split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// The lines outside fenced code, with their numbers from 1.
pub(crate) fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        (!fenced && !is_fence).then_some((index + 1, line))
    })
}

/// The targets of the inline links of a line; code spans are no links.
pub(crate) fn link_targets(line: &str) -> Vec<&str> {
    let outside = line.split('`').step_by(2);
    outside
        .flat_map(|part| part.split("](").skip(1))
        .filter_map(|rest| rest.split_once(')'))
        .map(|(to, _)| to)
        .collect()
}

/// The code spans of a line.
pub(crate) fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_found_by_its_first_cell() {
        let text = "| x |\n|---|\n| no |\n\n| crate | may |\n|---|---|\n| core | **no** |\n| cli | yes |\n\nafter";
        let found = table(text, "crate").unwrap();
        assert_eq!(found, [["crate", "may"], ["core", "**no**"], ["cli", "yes"]]);
        assert!(table(text, "missing").is_none());
    }

    #[test]
    fn links_in_code_do_not_count() {
        let line = "see [a](docs/a.md#part) and `[b](c.md)` and [d](e.md)";
        assert_eq!(link_targets(line), ["docs/a.md#part", "e.md"]);
        assert_eq!(code_spans(line).collect::<Vec<_>>(), ["[b](c.md)"]);
        assert_eq!(prose("a\n```\nb\n```\nc").collect::<Vec<_>>(), [(1, "a"), (5, "c")]);
    }
}
