//! What a command printed against what the page shows. Times, ages and names that differ from run to run are equal to each other; how
//! the page calls a generated name is remembered, so that a later command that uses it means the real one.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

/// Generated words of the page, each with what it is in this run.
#[derive(Debug, Default)]
pub struct Names(BTreeMap<String, String>);

// === impl Names ===

impl Names {
    /// A command of the page with the words of this run.
    pub fn in_command(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (page, real)| text.replace(page, real))
    }

    /// Remembers what the page calls otherwise. Lines that do not match teach nothing.
    ///
    /// # Errors
    /// The page shows a word that it has shown before, but what is printed is another one now.
    pub fn learn(&mut self, shown: &[String], printed: &[String]) -> Result<()> {
        let pairs = shown.iter().zip(printed).filter(|(shown, printed)| shape(shown) == shape(printed));
        for (page, real) in
            pairs.flat_map(|(shown, printed)| generated(shown).zip(generated(printed)).collect::<Vec<_>>())
        {
            let known = self.0.entry(page.to_owned()).or_insert_with(|| real.to_owned());
            ensure!(known == real, "the page shows {page} again, but that was {known} and is {real} now");
        }
        Ok(())
    }
}

/// Do these lines say the same?
pub fn same(shown: &[String], printed: &[String]) -> bool {
    let shapes =
        |lines: &[String]| lines.iter().map(|line| shape(line)).filter(|line| !line.is_empty()).collect::<Vec<_>>();
    shapes(shown) == shapes(printed)
}

/// A line without the width of its columns, and with a stand-in for what differs from run to run.
fn shape(line: &str) -> String {
    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

fn word(word: &str) -> String {
    let bare = word.trim_matches(|c: char| "()[],;\"'".contains(c));
    let stand_in = if is_age(bare) {
        "<age>"
    } else if bare.parse::<jiff::Timestamp>().is_ok() {
        "<time>"
    } else {
        return runs(word).map(|run| if is_generated(run) { "<generated>" } else { run }).collect();
    };
    word.replace(bare, stand_in)
}

/// Ages of what a page has made: seconds, or minutes with seconds. `30m` is a duration that somebody chose.
fn is_age(word: &str) -> bool {
    let Some(seconds) = word.strip_suffix('s') else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    seconds.split_once('m').map_or_else(|| digits(seconds), |(minutes, rest)| digits(minutes) && digits(rest))
}

/// A word in runs of letters and digits, and what lies between.
fn runs(word: &str) -> impl Iterator<Item = &str> {
    let is_word = |c: char| c.is_ascii_alphanumeric();
    let mut rest = word;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = rest.find(|c| is_word(c) != is_word(first)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        Some(run)
    })
}

/// Digests and what the API server makes up: 16 hex digits and more.
fn is_generated(run: &str) -> bool {
    run.len() >= 16 && run.bytes().all(|b| b.is_ascii_hexdigit())
}

fn generated(line: &str) -> impl Iterator<Item = &str> {
    line.split_whitespace().flat_map(runs).filter(|run| is_generated(run))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn columns_times_and_ages_are_equal_and_words_are_not() {
        let shown = lines(
            "NAME   STATE    DURATION  EXPIRES               AGE\ner-1   Active   30m       2026-11-22T03:45:52Z  3s\n",
        );
        let printed = lines("NAME  STATE   DURATION  EXPIRES  AGE\ner-1  Active  30m  2027-01-01T00:00:00Z   1m7s\n\n");
        assert!(same(&shown, &printed));
        for other in
            ["er-1 Active 45m 2027-01-01T00:00:00Z 3s", "er-1 Active 30m 3s", "er-2 Active 30m 2027-01-01T00:00:00Z 3s"]
        {
            assert!(!same(&shown[1..], &lines(other)), "{other}");
        }
    }

    #[test]
    fn a_generated_name_of_the_page_is_the_real_one_in_later_commands() {
        let mut names = Names::default();
        let shown = lines("berlin.ws-042.7dcf3390c36d2905   3s   Pending");
        names.learn(&shown, &lines("berlin.ws-042.0123456789abcdef  9s  Pending")).expect("new");
        assert_eq!(
            names.in_command("kubectl certificate approve berlin.ws-042.7dcf3390c36d2905"),
            "kubectl certificate approve berlin.ws-042.0123456789abcdef"
        );
        names.learn(&shown, &lines("berlin.ws-042.fedcba9876543210  9s  Pending")).expect_err("another one");
    }
}
