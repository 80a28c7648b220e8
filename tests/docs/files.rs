//! Files of the repository that a page shows whole: `<!-- file: <path> -->` before the block. TIDEGATE_WRITE_GOLDEN=1 writes them into the page.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use tidegate_test_support::assets;

/// Holds what a page shows against the files of a folder: all of them, each as it is.
///
/// # Errors
/// When a file is not shown, or is another one by now.
pub fn are_shown(page: &str, folder: &str) -> Result<()> {
    let root = assets::repository();
    let text = std::fs::read_to_string(root.join(page))?;
    let (wanted, shown) = with_files(&text, |file| Ok(std::fs::read_to_string(root.join(file))?))?;
    if wanted != text && assets::writes_golden() {
        std::fs::write(root.join(page), &wanted)?;
    } else {
        ensure!(wanted == text, "{page} shows a file of {shown:?} otherwise than it is");
    }
    let unseen: Vec<_> = below(folder)?.into_iter().filter(|file| !shown.contains(file)).collect();
    ensure!(unseen.is_empty(), "{page} does not show {unseen:?}");
    Ok(())
}

/// The page with each file as it is, and the files.
fn with_files(page: &str, read: impl Fn(&str) -> Result<String>) -> Result<(String, BTreeSet<String>)> {
    let (mut out, mut shown, mut rest) = (String::new(), BTreeSet::new(), page);
    while let Some((before, after)) = rest.split_once("<!-- file: ") {
        let (file, after) = after.split_once(" -->\n```yaml\n").context("a block of yaml follows a file's name")?;
        let (_, after) = after.split_once("```\n").context("a block without an end")?;
        out.push_str(&format!("{before}<!-- file: {file} -->\n```yaml\n{}```\n", read(file)?));
        shown.insert(file.to_owned());
        rest = after;
    }
    Ok((out + rest, shown))
}

fn below(folder: &str) -> Result<BTreeSet<String>> {
    let root = assets::repository();
    let files = assets::files_below(&root.join(folder))?;
    files.iter().map(|path| Ok(path.strip_prefix(root)?.display().to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_shows_of_a_file_is_what_is_in_it() {
        let page = "Text.\n<!-- file: a.yaml -->\n```yaml\nold: 1\n```\nMore.\n";
        let (wanted, shown) = with_files(page, |_| Ok("new: 1\n".to_owned())).expect("a page");
        assert_eq!(wanted, page.replace("old", "new"));
        assert_eq!(shown, BTreeSet::from(["a.yaml".to_owned()]));
        with_files("<!-- file: a.yaml -->\nNothing.\n", |_| Ok(String::new())).expect_err("no block");
    }
}
