//! Lines to compare on: near the grammar and spoilt a little, or of random characters. The same seed gives the same lines.

use tidegate_core::decision::Decision;

/// Each choice has right and wrong ones, so that about half of what is put together is a decision.
const NAMES: &[&str] = &[
    "bob",
    "bob@corp",
    "bob:",
    "bob::",
    ":",
    "bob@corp:",
    "system:serviceaccount:a:b",
    "https://idp#bob",
    "b.*b",
    "bob'\"corp",
    "bób",
    "stage=x",
    "for=5m",
    "approve",
    "名前",
    "bob corp",
    "",
];
const VERBS: &[&str] =
    &["approve", "deny", "revoke", "end", "approve", "deny", "revoke", "end", "Approve", "allow", "approve:", ""];
const FORS: &[&str] =
    &["", "", "", " for=5m", " for=1h30m", " for=99999h00000m1s", " for=45", " for=1s1s1s1s", " for=123456s", " for="];
const STAGES: &[&str] =
    &["", "", "", " stage=a", " stage=two-stages", " stage=0", " stage=-a", " stage=A", " stage=", " stage=a stage=b"];
const COMMENTS: &[&str] = &[
    "",
    "",
    ": yes",
    ": pairing: stage=b for=9h",
    ":  stage=x",
    ": : ",
    ": größer",
    ": a\nb",
    ": \u{202e}x",
    ":x",
    ": ",
    " : x",
];
/// Characters that a spoilt line gets.
const MARKS: &str = concat!(
    " :=-./'\"\\$^|aA0ѕе１٤😀\n\r\t\0\u{1b}\u{7f}\u{85}\u{a0}\u{ad}\u{301}",
    "\u{200b}\u{2028}\u{2029}\u{202e}\u{feff}\u{e000}\u{fffd}",
);
/// Words that a spoilt line gets.
const WORDS: &[&str] = &["  ", ": ", "stage=", "for=", " stage=b", " for=1m", "approve"];
/// Ends of the ranges that random characters are drawn from: ASCII, Latin and marks, separators and format, all.
const RANGES: [u32; 4] = [0x7f, 0x36f, 0x206f, 0x0010_ffff];

/// An endless row of lines.
pub struct Lines(u64);

impl Lines {
    /// The row of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64.
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next_u64() % bound as u64).expect("below a usize")
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    /// Mostly right: wrong choices stand last in each list.
    fn pick_right<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        let right = choices.len() - self.below(choices.len());
        self.pick(&choices[..right.max(choices.len() / 2)])
    }

    fn near(&mut self) -> String {
        let name = self.pick_right(NAMES);
        let verb = self.pick_right(VERBS);
        let (duration, stage, comment) = (self.pick_right(FORS), self.pick_right(STAGES), self.pick_right(COMMENTS));
        let name = if self.below(100) == 0 { name.repeat(self.below(300)) } else { name.to_owned() };
        let comment =
            if self.below(100) == 0 { format!(": {}", "ç".repeat(self.below(600))) } else { comment.to_owned() };
        format!("{name} {verb}{duration}{stage}{comment}")
    }

    fn bit(&mut self) -> String {
        let mark = self.below(MARKS.chars().count());
        let marks = MARKS.chars().skip(mark).take(1).collect();
        if self.below(4) == 0 { self.pick(WORDS).to_owned() } else { marks }
    }

    fn spoil(&mut self, line: &str) -> String {
        let mut characters: Vec<char> = line.chars().collect();
        let at = self.below(characters.len() + 1);
        let to = (at + self.below(4)).min(characters.len());
        match self.below(4) {
            0 => drop(characters.drain(at..to)),
            1 => drop(characters.splice(at..at, self.bit().chars())),
            2 => drop(characters.splice(at..to, self.bit().chars())),
            _ => {
                let again = characters[at..to].to_vec();
                drop(characters.splice(to..to, again));
            }
        }
        characters.into_iter().collect()
    }

    fn random(&mut self) -> String {
        let length = self.below(40);
        let range = RANGES[self.below(RANGES.len())];
        (0..length)
            .filter_map(|_| char::from_u32(u32::try_from(self.next_u64() % u64::from(range + 1)).ok()?))
            .collect()
    }
}

impl Iterator for Lines {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        Some(match self.below(10) {
            0 => self.random(),
            1 => format!("{} deny: {}", self.random(), self.random()),
            2..6 => self.near(),
            _ => (0..=self.below(3)).fold(self.near(), |line, _| self.spoil(&line)),
        })
    }
}

/// Lines in which every character there is stands once: side by side, as many as a name takes, where core reads them; each of the
/// others alone, so that no line hides a difference.
pub fn of_characters(line: impl Fn(&str) -> String) -> Vec<String> {
    const SIDE_BY_SIDE: usize = 200;
    let all: Vec<char> = (char::MIN..=char::MAX).collect();
    let mut lines = Vec::new();
    let mut open: Vec<&[char]> = all.chunks(SIDE_BY_SIDE).collect();
    while let Some(characters) = open.pop() {
        let line = line(&characters.iter().collect::<String>());
        if characters.len() == 1 || line.parse::<Decision>().is_ok() {
            lines.push(line);
        } else {
            let (left, right) = characters.split_at(characters.len() / 2);
            open.extend([left, right]);
        }
    }
    lines
}
