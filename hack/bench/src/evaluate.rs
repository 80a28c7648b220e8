//! The evaluator and Cedar, with the same rules and the same questions, in turns. Before anything is timed both must have given
//! the same answers.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tidegate_core::application::Facts;
use tidegate_core::name::Account;
use tidegate_core::verdict::{Agreement, Ask, Contact, Kind, Query, Rights, Subject as Who, evaluate as judge};

use crate::cedar::{Cedar, Question};
use crate::clock::Watch;
use crate::fleet::{now, program, snapshot};
use crate::measure::{Line, Subject, measure};
use crate::report::{Section, nanoseconds};

/// How many rules there are.
const SIZES: [usize; 3] = [10, 1_000, 100_000];
/// Programs that are asked about, spread over all rules.
const PROGRAMS: usize = 1_009;
/// Answers that are compared.
const COMPARED: usize = 24;
/// What is aimed at: so many nanoseconds at the median, and so many times faster than Cedar.
const TARGET: (f64, f64) = (1_000.0, 5.0);

/// Whether a program may start.
pub fn evaluate(rounds: usize, effort: usize) -> anyhow::Result<Section> {
    let mut lines = Vec::new();
    let mut findings = Vec::new();
    for size in SIZES {
        let (measured, built) = of_size(size, rounds, effort)?;
        findings.push(built);
        findings.extend(found(&measured, size));
        lines.extend(measured);
    }
    findings.push(flatness(&lines)?);
    Ok(Section {
        title: "Evaluate",
        about: "May Alice start this program? Rules of four sorts (two exact paths, a folder with an exception, a digest), each for \
                a group, in a window, with an age of contact; three of four programs are covered. Tidegate reads them from a \
                signed snapshot with 64 rules a policy and finds those that may match by an index; Cedar has one policy a rule, \
                with the same conditions, and asks each of them: a language that allows more has less to look things up by. Facts, \
                entities and requests are made beforehand on both sides, and both must have given the same answers.",
        lines,
        findings,
    })
}

fn of_size(size: usize, rounds: usize, effort: usize) -> anyhow::Result<(Vec<Line>, String)> {
    let snapshot = snapshot(size)?;
    let watch = Watch::start();
    let rights = Rights::new(&snapshot);
    let ours = watch.wall();
    let watch = Watch::start();
    let cedar = Cedar::new(size)?;
    let theirs = watch.wall();
    let built = format!(
        "{size} rules: made ready in {:.1} ms (Tidegate, from the accepted snapshot) and {:.1} ms (Cedar, parsing)",
        ours.as_secs_f64() * 1e3,
        theirs.as_secs_f64() * 1e3
    );

    let account: Account = "alice".parse()?;
    let facts = (0..PROGRAMS).map(|number| program(number * size.div_ceil(PROGRAMS) % size));
    let facts: Vec<Facts> = facts.collect::<Result<_, _>>()?;
    let questions: Vec<Question> = facts.iter().map(Question::new).collect::<Result<_, _>>()?;
    for (facts, question) in facts.iter().zip(&questions).step_by(PROGRAMS / COMPARED) {
        let verdict = judge(&rights, &query(&account, facts), now());
        ensure!(verdict.allows() == cedar.allows(question), "{:?} differs: {verdict:?}", facts.path);
    }

    // So many that a round of either takes about as long.
    let few = (40_000 / size).clamp(4, 1_000);
    let subjects = vec![
        Subject::new("Tidegate", (size, "rules"), 20_000 * effort, |number| {
            std::hint::black_box(judge(&rights, &query(&account, &facts[number % facts.len()]), now()));
        }),
        Subject::new("Cedar", (size, "rules"), few * effort, |number| {
            std::hint::black_box(cedar.allows(&questions[number * 7 % questions.len()]));
        }),
    ];
    Ok((measure(subjects, rounds), built))
}

fn query<'a>(account: &'a Account, facts: &'a Facts) -> Query<'a> {
    Query {
        kind: Kind::Run,
        subject: Who { account, agreement: Agreement::Agrees, is_managed: true, has_failed_end: false },
        ask: Ask::Program(facts),
        clock_is_sound: true,
        contact: Contact { age: Duration::ZERO, grace: Duration::ZERO },
    }
}

fn found(lines: &[Line], size: usize) -> Option<String> {
    let of = |name: &str| lines.iter().find(|line| line.name == name);
    let (ours, cedar) = of("Tidegate").zip(of("Cedar"))?;
    let times = cedar.median / ours.median;
    let target = if size == SIZES[2] {
        let said = |is_met: bool| if is_met { "met" } else { "missed" };
        format!(
            "; the target of {} is {}, that of {} times {}",
            nanoseconds(TARGET.0),
            said(ours.median <= TARGET.0),
            TARGET.1,
            said(times >= TARGET.1)
        )
    } else {
        String::new()
    };
    Some(format!(
        "{size} rules: {} at the median, {times:.0} times faster than Cedar{target}",
        nanoseconds(ours.median)
    ))
}

/// How much a question costs more with many rules.
fn flatness(lines: &[Line]) -> anyhow::Result<String> {
    let ours: Vec<&Line> = lines.iter().filter(|line| line.name == "Tidegate").collect();
    let (few, many) = ours.first().zip(ours.last()).context("lines")?;
    let (times, rules) = (many.median / few.median, many.items / few.items);
    Ok(format!("{rules} times the rules cost {times:.1} times the time of a question"))
}
