//! Pages, and what stands in them.

use std::path::Path;

/// The folder of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository.
pub fn text(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every page, by its path: those at the top and those in `docs`.
pub fn pages() -> Vec<String> {
    let mut pages = Vec::new();
    for folder in ["", "docs/"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                pages.push(format!("{folder}{name}"));
            }
        }
    }
    pages.sort();
    assert!(pages.len() >= 6, "{pages:?}");
    pages
}

/// A block between fences: its language, and its text.
#[derive(Debug)]
pub struct Block {
    pub language: String,
    pub text: String,
}

/// The blocks of a page.
pub fn blocks(page: &str) -> Vec<Block> {
    let (mut blocks, mut open): (Vec<Block>, Option<Block>) = (Vec::new(), None);
    for line in page.lines() {
        match (line.trim_start().strip_prefix("```"), open.take()) {
            (Some(_), Some(block)) => blocks.push(block),
            (Some(language), None) => {
                open = Some(Block { language: language.to_owned(), text: String::new() });
            }
            (None, Some(mut block)) => {
                block.text += line;
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed: {open:?}");
    blocks
}

/// The rows of the tables below a heading, without their heads: the cells of each.
pub fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, below) = page.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let depth = heading.chars().take_while(|sign| *sign == '#').count();
    let is_end = |line: &&str| {
        let signs = line.chars().take_while(|sign| *sign == '#').count();
        signs > 0 && signs <= depth
    };
    let lines: Vec<&str> = below.lines().take_while(|line| !is_end(line)).collect();
    let is_head = |index: usize| lines.get(index + 1).is_some_and(|next| next.starts_with("| ---"));
    let mut rows = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        if let Some(row) = line.strip_prefix("| ").and_then(|row| row.strip_suffix(" |"))
            && !row.starts_with("---")
            && !is_head(index)
        {
            rows.push(row.split(" | ").map(str::to_owned).collect());
        }
    }
    rows
}

/// What stands in backticks.
pub fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}
