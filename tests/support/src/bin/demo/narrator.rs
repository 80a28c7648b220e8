//! What the demo prints: each step with the seconds since the start, each command as it would be typed, its output indented.

use std::io::IsTerminal;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use tidegate_test_support::clock::Stopwatch;
use tidegate_test_support::{Identity, Said, assets};

/// Where the text of a step begins.
const INDENT: &str = "         ";
/// Long messages are broken before this column, indentation apart.
const WIDTH: usize = 100;
/// No command of the demo takes longer unless something is broken.
const COMMAND_DEADLINE: Duration = Duration::from_secs(60);

/// Prints; knows when it began.
pub struct Narrator {
    watch: Stopwatch,
    styled: bool,
}

#[derive(Clone, Copy)]
enum Style {
    Bold,
    Dim,
}

// === impl Narrator ===

impl Narrator {
    /// The clock starts now. Styled only on a terminal, and if `colour` is welcome.
    pub fn new(colour: bool) -> Self {
        Self { watch: Stopwatch::start(), styled: colour && std::io::stdout().is_terminal() }
    }

    /// The first lines.
    pub fn open(&self) {
        println!("\n{}", self.style(Style::Bold, "Tidegate: elevated rights, just in time"));
        println!("Somebody asks, somebody else decides, the endpoint knows, and it ends by itself.");
    }

    /// A step begins.
    pub fn step(&self, text: &str) {
        let seconds = self.watch.elapsed().as_secs_f64();
        println!("\n{seconds:6.1}s  {}", self.style(Style::Bold, text));
    }

    /// Something to know about the step, at the second it became known.
    pub fn note(&self, text: &str) {
        for line in wrapped(text) {
            println!("{INDENT}{line}");
        }
    }

    /// A command as it is typed.
    pub fn command(&self, who: &str, line: &str) {
        println!("{INDENT}{} {line}", self.style(Style::Dim, &format!("{who}$")));
    }

    /// What a program said.
    pub fn output(&self, text: &str) {
        for line in text.trim_end().lines() {
            println!("{INDENT}  {}", self.style(Style::Dim, line));
        }
    }

    /// The last line.
    pub fn close(&self, text: &str) {
        println!("\n{:6.1}s  {}\n", self.watch.elapsed().as_secs_f64(), self.style(Style::Bold, text));
    }

    /// The last lines if a step did not hold.
    pub fn failed(&self, error: &anyhow::Error) {
        println!(
            "\n{:6.1}s  {}",
            self.watch.elapsed().as_secs_f64(),
            self.style(Style::Bold, "this step did not hold:")
        );
        for cause in error.chain() {
            cause.to_string().lines().for_each(|line| println!("{INDENT}{line}"));
        }
        println!();
    }

    /// `who` runs kubectl in the root of the repository, before the reader's eyes.
    ///
    /// # Errors
    /// When it cannot be run or takes more than 60 s; its own failure is in `Said`.
    pub async fn kubectl(&self, who: &Identity, args: &[&str]) -> Result<Said> {
        let typed: Vec<String> = args.iter().map(|arg| quoted(arg)).collect();
        self.command(short(who), &format!("kubectl {}", typed.join(" ")));
        let mut command = who.kubectl_command();
        command.args(args).current_dir(assets::repository()).stdin(Stdio::null());
        let output = tokio::time::timeout(COMMAND_DEADLINE, command.output()).await.context("kubectl hangs")??;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let said = Said { success: output.status.success(), stdout: text(output.stdout), stderr: text(output.stderr) };
        self.output(&said.stdout);
        for line in said.stderr.lines() {
            self.output(&wrapped(line).join("\n"));
        }
        Ok(said)
    }

    fn style(&self, style: Style, text: &str) -> String {
        match (self.styled, style) {
            (true, Style::Bold) => format!("\x1b[1m{text}\x1b[0m"),
            (true, Style::Dim) => format!("\x1b[2m{text}\x1b[0m"),
            (false, Style::Bold | Style::Dim) => text.to_owned(),
        }
    }
}

/// `alice@corp` is alice; the administrator has a longer name than anybody wants to read.
fn short(who: &Identity) -> &str {
    match who.user().split_once('@') {
        Some((name, _domain)) => name,
        None => "admin",
    }
}

/// As one has to type it in a shell.
fn quoted(arg: &str) -> String {
    match arg.split_once('=') {
        Some((key, value)) if value.contains(' ') && !key.contains(' ') => format!("{key}=\"{value}\""),
        Some(_) | None if arg.contains([' ', '{', '*']) => format!("'{arg}'"),
        Some(_) | None => arg.to_owned(),
    }
}

/// `text` in lines of at most [`WIDTH`] columns, broken at spaces where there are any.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let full = lines.last().is_some_and(|line| line.len() + word.len() >= WIDTH && !line.is_empty());
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_shown_so_that_a_shell_takes_them() {
        assert_eq!(quoted("er/a"), "er/a");
        assert_eq!(quoted("--for=condition=Finished"), "--for=condition=Finished");
        assert_eq!(quoted("d.tidegate.dev/1=bob approve: go"), "d.tidegate.dev/1=\"bob approve: go\"");
    }

    #[test]
    fn long_lines_are_broken_and_nothing_is_lost() {
        let text = "abcd ".repeat(60);
        let lines = wrapped(&text);
        assert!(lines.iter().all(|line| line.len() <= WIDTH), "{lines:?}");
        assert_eq!(lines.join(" "), text);
        assert_eq!(wrapped("short"), ["short"]);
    }
}
