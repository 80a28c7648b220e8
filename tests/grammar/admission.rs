//! Admission's side: hack/grammar, built once per run, reads the lines with the expressions of the shipped manifest.

use std::io::{BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use crate::Reading;

const MANIFEST: &str = "config/admission/decisions.yaml";

/// The built program; `None` without Go.
static PROGRAM: LazyLock<Option<PathBuf>> = LazyLock::new(build);

/// What admission makes of each line, in order; `None`, said on standard error, if there is no Go to build the program with.
pub fn read(lines: &[String]) -> Option<Vec<Reading>> {
    let program = PROGRAM.as_ref()?;
    let mut child = Command::new(program)
        .arg(root().join(MANIFEST))
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

fn build() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("grammar");
    let built = Command::new("go")
        .args(["build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(root().join("hack/grammar"))
        .output();
    match built {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // Past the test runner, which keeps what a passing test prints to itself.
            let _closed = writeln!(std::io::stderr(), "skipped: go is not installed, so cel-go cannot be asked");
            None
        }
        Err(error) => panic!("go does not start: {error}"),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "hack/grammar does not build:\n{said}");
            Some(program)
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
