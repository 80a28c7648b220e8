//! Admission's side: hack/grammar, built once per run, reads the lines with the expressions of the shipped manifest.

use std::io::{BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use tidegate_test_support::{assets, go};

use crate::Reading;

const MANIFEST: &str = "config/admission/decisions.yaml";

/// The built program; `None` without Go.
static PROGRAM: LazyLock<Option<PathBuf>> =
    LazyLock::new(|| go::build("hack/grammar").expect("hack/grammar is asked by this test"));

/// What admission makes of each line, in order; `None`, said on standard error, if there is no Go to build the program with.
pub fn read(lines: &[String]) -> Option<Vec<Reading>> {
    let program = PROGRAM.as_ref()?;
    let mut child = Command::new(program)
        .arg(assets::repository().join(MANIFEST))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program was just built");
    let mut stdin = child.stdin.take().expect("it was piped");
    let stdout = child.stdout.take().expect("it was piped");
    let readings: Vec<Reading> = std::thread::scope(|scope| {
        // Written aside: the pipes hold less than there is to write and to read.
        scope.spawn(move || {
            let text: String = lines.iter().map(|line| format!("{}\n", serde_json::json!(line))).collect();
            // A program that has ended says why itself.
            let _broken_pipe = stdin.write_all(text.as_bytes());
        });
        let readings = serde_json::Deserializer::from_reader(BufReader::new(stdout)).into_iter();
        readings.collect::<Result<_, _>>().expect("hack/grammar writes readings")
    });
    let status = child.wait().expect("it is our child");
    assert!(status.success(), "hack/grammar ended with {status}");
    assert_eq!(readings.len(), lines.len(), "one reading per line");
    Some(readings)
}
