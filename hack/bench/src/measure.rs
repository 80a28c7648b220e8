//! Rounds: every subject of a section has its turn in each, so that whatever else the computer does meets all of them alike.

use crate::clock::{Watch, wall};

/// Something that is measured.
pub struct Subject<'a> {
    /// What it is.
    pub name: &'static str,
    /// How many items one operation has to do with.
    pub items: usize,
    /// What an item is.
    pub item: &'static str,
    /// Operations in a round.
    pub operations: usize,
    /// One operation; the number says which of them.
    pub run: Box<dyn FnMut(usize) + 'a>,
    rounds: Vec<Round>,
}

/// Nanoseconds of one operation, in one round.
struct Round {
    median: f64,
    p99: f64,
    cpu: f64,
}

/// What was measured of a subject: nanoseconds of one operation.
pub struct Line {
    /// What it is.
    pub name: &'static str,
    /// How many items one operation has to do with.
    pub items: usize,
    /// What an item is.
    pub item: &'static str,
    /// Median of the rounds' medians.
    pub median: f64,
    /// The smallest and the greatest of them.
    pub spread: (f64, f64),
    /// Median of the rounds' 99th percentiles.
    pub p99: f64,
    /// Processor time, median of the rounds.
    pub cpu: f64,
}

impl<'a> Subject<'a> {
    /// A subject whose operations are about one item each, of so many.
    pub fn new(
        name: &'static str,
        items: (usize, &'static str),
        operations: usize,
        run: impl FnMut(usize) + 'a,
    ) -> Self {
        let (items, item) = items;
        Self { name, items, item, operations, run: Box::new(run), rounds: Vec::new() }
    }

    fn round(&mut self) {
        let mut each: Vec<f64> = Vec::with_capacity(self.operations);
        let watch = Watch::start();
        for number in 0..self.operations {
            each.push(wall(|| (self.run)(number)).as_nanos() as f64);
        }
        let cpu = watch.cpu().as_nanos() as f64 / self.operations as f64;
        let p99 = at(&mut each, 0.99);
        self.rounds.push(Round { median: at(&mut each, 0.5), p99, cpu });
    }

    fn line(&self) -> Line {
        let of = |member: fn(&Round) -> f64| self.rounds.iter().map(member).collect::<Vec<_>>();
        let mut medians = of(|round| round.median);
        let median = at(&mut medians, 0.5);
        let spread = (at(&mut medians, 0.0), at(&mut medians, 1.0));
        let (p99, cpu) = (at(&mut of(|round| round.p99), 0.5), at(&mut of(|round| round.cpu), 0.5));
        Line { name: self.name, items: self.items, item: self.item, median, spread, p99, cpu }
    }
}

impl Line {
    /// Median per item.
    pub fn per_item(&self) -> f64 {
        self.median / self.items as f64
    }
}

/// Measures all of them, one after the other, so many times; one round before is not counted.
pub fn measure(mut subjects: Vec<Subject<'_>>, rounds: usize) -> Vec<Line> {
    for round in 0..=rounds {
        subjects.iter_mut().for_each(Subject::round);
        if round == 0 {
            subjects.iter_mut().for_each(|subject| subject.rounds.clear());
        }
    }
    subjects.iter().map(Subject::line).collect()
}

/// The value at this place of the sorted values; 0 for none.
fn at(values: &mut [f64], place: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * place).round() as usize).copied().unwrap_or_default()
}
