//! Which items can say anything but *no* of a program: found by one key per item instead of by asking each. It may name too
//! many, never too few, so that what is judged is the same as if every item had been asked; a property holds it to that.
//!
//! An item is filed under the member that tells most programs apart: the beginning of its path up to the first wildcard, else
//! its digests, class, store app, catalogue entry, product or vendor. A path that begins with a wildcard is filed under the
//! root, which every path finds. Where an attribute is unknown or in error every item that is filed under it is named.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::ops::Range;

use crate::application::{Attr, Facts, FilePath, PathPattern, Rule, RuleForm};
use crate::target::Platform;

/// What items are filed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drawer {
    Path,
    Sha256,
    Sha512,
    Clsid,
    StoreApp,
    VerifiedExecutable,
    Product,
    Vendor,
}

/// How many drawers there are.
const DRAWERS: usize = 8;

/// Which of a program's two paths has to match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paths {
    /// Both: the item allows.
    Both,
    /// One: the item denies.
    Either,
}

/// Items by key; `E` says which item.
#[derive(Debug, Default)]
pub(super) struct Index<E> {
    /// Sorted by drawer, then by key.
    entries: Vec<E>,
    /// Where the entries of a key are: first and count.
    keys: [HashMap<u64, (u32, u32), BuildHasherDefault<AsIs>>; DRAWERS],
    /// Of how many parts the beginnings of paths are that are filed, one bit each: at no other length need anybody look.
    lengths: u64,
    /// Where the entries of a drawer are.
    drawers: [Range<usize>; DRAWERS],
    /// Asks every item: what the index is held to.
    #[cfg(test)]
    pub(super) is_off: bool,
}

// === impl Index ===

impl<E: Copy> Index<E> {
    /// The index of these rules. Takes time and memory in proportion to their number.
    pub(super) fn new<'a>(rules: impl Iterator<Item = (&'a Rule, E)>) -> Self {
        let mut filed: Vec<(u8, u64, E)> = Vec::new();
        let mut lengths = 0;
        for (rule, entry) in rules {
            lengths |= file(rule, |drawer, key| filed.push((drawer as u8, key, entry)));
        }
        filed.sort_by_key(|(drawer, key, _)| (*drawer, *key));
        let mut drawers: [Range<usize>; DRAWERS] = Default::default();
        for (number, drawer) in (0..).zip(&mut drawers) {
            let start = filed.partition_point(|(other, _, _)| *other < number);
            *drawer = start..filed.partition_point(|(other, _, _)| *other <= number);
        }
        let mut keys: [HashMap<u64, (u32, u32), _>; DRAWERS] = Default::default();
        let mut first = 0;
        for same in filed.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let count = u32::try_from(same.len()).unwrap_or(u32::MAX);
            if let Some((drawer, key, _)) = same.first()
                && let Some(keys) = keys.get_mut(usize::from(*drawer))
            {
                keys.insert(*key, (first, count));
            }
            first = first.saturating_add(count);
        }
        Self {
            entries: filed.into_iter().map(|(_, _, entry)| entry).collect(),
            keys,
            lengths,
            drawers,
            #[cfg(test)]
            is_off: false,
        }
    }

    /// Every item that may say anything but *no* of the program, some of them more than once.
    pub(super) fn each(&self, facts: &Facts, paths: Paths, mut found: impl FnMut(E)) {
        #[cfg(test)]
        if self.is_off {
            return self.entries.iter().for_each(|entry| found(*entry));
        }
        self.each_by_path(facts, paths, &mut found);
        self.each_by(Drawer::Sha256, &facts.sha256, &mut found);
        self.each_by(Drawer::Sha512, &facts.sha512, &mut found);
        self.each_by(Drawer::Clsid, &facts.clsid, &mut found);
        self.each_by(Drawer::StoreApp, &facts.store_app, &mut found);
        self.each_by(Drawer::VerifiedExecutable, &facts.verified_executable, &mut found);
        self.each_by(Drawer::Product, &facts.product, &mut found);
        self.each_by(Drawer::Vendor, &facts.vendor, &mut found);
    }

    fn each_by<T: Hash>(&self, drawer: Drawer, attribute: &Attr<T>, found: &mut impl FnMut(E)) {
        if self.is_empty(drawer) {
            return;
        }
        match attribute {
            Attr::Known(value) => self.under(drawer, key_of(value), found),
            Attr::Absent => {}
            Attr::Error | Attr::Unstated => self.all(drawer, found),
        }
    }

    fn each_by_path(&self, facts: &Facts, paths: Paths, found: &mut impl FnMut(E)) {
        if self.is_empty(Drawer::Path) {
            return;
        }
        let (typed, resolved) = (&facts.path, &facts.resolved_path);
        match (typed, resolved, paths) {
            (Attr::Known(path), Attr::Known(other), _) if path == other => {
                self.under_path(path, facts.platform, found);
            }
            (Attr::Known(path), Attr::Known(other), Paths::Either) => {
                self.under_path(path, facts.platform, found);
                self.under_path(other, facts.platform, found);
            }
            (Attr::Absent, _, Paths::Both) | (_, Attr::Absent, Paths::Both) | (Attr::Absent, Attr::Absent, _) => {}
            (Attr::Known(path), _, Paths::Both)
            | (_, Attr::Known(path), Paths::Both)
            | (Attr::Known(path), Attr::Absent, Paths::Either)
            | (Attr::Absent, Attr::Known(path), Paths::Either) => self.under_path(path, facts.platform, found),
            (Attr::Error | Attr::Unstated, _, _) | (_, Attr::Error | Attr::Unstated, _) => {
                self.all(Drawer::Path, found);
            }
        }
    }

    fn under_path(&self, path: &FilePath, platform: Option<Platform>, found: &mut impl FnMut(E)) {
        // Where case does not matter, letters beyond ASCII have more than two forms, some of them in ASCII.
        if platform != Some(Platform::Linux) && !path.as_str().is_ascii() {
            return self.all(Drawer::Path, found);
        }
        let mut beginning = Beginning::default();
        self.under_beginning(beginning, found);
        for part in parts(path.as_str()) {
            if beginning.push(part) {
                self.under_beginning(beginning, found);
            }
        }
    }

    fn under_beginning(&self, beginning: Beginning, found: &mut impl FnMut(E)) {
        if self.lengths & beginning.length_bit() != 0 {
            self.under(Drawer::Path, beginning.key(), found);
        }
    }

    fn under(&self, drawer: Drawer, key: u64, found: &mut impl FnMut(E)) {
        if let Some((first, count)) = self.keys.get(drawer as usize).and_then(|keys| keys.get(&key)) {
            let (first, count) = (*first as usize, *count as usize);
            self.within(first..first + count, found);
        }
    }

    fn all(&self, drawer: Drawer, found: &mut impl FnMut(E)) {
        self.within(self.drawers.get(drawer as usize).cloned().unwrap_or_default(), found);
    }

    fn within(&self, range: Range<usize>, found: &mut impl FnMut(E)) {
        self.entries.get(range).unwrap_or_default().iter().for_each(|entry| found(*entry));
    }

    fn is_empty(&self, drawer: Drawer) -> bool {
        self.drawers.get(drawer as usize).is_none_or(Range::is_empty)
    }
}

/// Where a rule is filed: in one drawer, or, by digests of two sorts, in two. If by its path, the bit of the beginning's length.
fn file(rule: &Rule, mut under: impl FnMut(Drawer, u64)) -> u64 {
    let RuleForm { vendor, product, verified_executable, file_hash, store_app, folder_path, clsid, .. } =
        rule.members();
    let beginning = folder_path.as_ref().map(|folder| Beginning::of(&folder.path));
    if let Some(beginning) = &beginning
        && !beginning.is_root()
    {
        under(Drawer::Path, beginning.key());
        return beginning.length_bit();
    }
    if let Some(hash) = file_hash {
        hash.sha256.iter().for_each(|digest| under(Drawer::Sha256, key_of(digest)));
        hash.sha512.iter().for_each(|digest| under(Drawer::Sha512, key_of(digest)));
    } else if let Some(class) = clsid {
        under(Drawer::Clsid, key_of(&class.id));
    } else if let Some(app) = store_app {
        under(Drawer::StoreApp, key_of(app.id.as_str()));
    } else if let Some(executable) = verified_executable {
        under(Drawer::VerifiedExecutable, key_of(executable.name.as_str()));
    } else if let Some(product) = product {
        under(Drawer::Product, key_of(product.name.as_str()));
    } else if let Some(vendor) = vendor {
        under(Drawer::Vendor, key_of(vendor.name.as_str()));
    } else if let Some(beginning) = beginning {
        under(Drawer::Path, beginning.key());
        return beginning.length_bit();
    }
    0
}

fn key_of(value: &(impl Hash + ?Sized)) -> u64 {
    let mut key = Key::default();
    value.hash(&mut key);
    key.finish()
}

/// The parts of a path as text: of a Windows path the drive is the first.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    match text.strip_prefix('/') {
        Some(rest) => rest.split('/'),
        None => text.split('\\'),
    }
}

/// The first parts of a path, as one key. Case is not told apart, nor a folder from its namesake below `/usr`: two paths that
/// are one on some platform begin alike.
#[derive(Debug, Clone, Copy, Default)]
struct Beginning {
    key: Key,
    length: usize,
}

impl Beginning {
    /// The parts before the first that has a wildcard, or a letter that is not compared by its bytes everywhere.
    fn of(pattern: &PathPattern) -> Self {
        let mut beginning = Self::default();
        for part in parts(pattern.as_str()).take_while(|part| part.is_ascii() && !part.contains(['*', '?'])) {
            beginning.push(part);
        }
        beginning
    }

    /// False if the part makes no difference.
    fn push(&mut self, part: &str) -> bool {
        if self.length == 0 && part.eq_ignore_ascii_case("usr") {
            return false;
        }
        self.key.write(part.as_bytes());
        self.length += 1;
        true
    }

    fn is_root(&self) -> bool {
        self.length == 0
    }

    /// Lengths beyond 63 share a bit.
    fn length_bit(&self) -> u64 {
        1 << self.length.min(63)
    }

    fn key(&self) -> u64 {
        self.key.finish()
    }
}

/// FNV-1a over bytes without ASCII case, mixed at the end. Who writes policies could make keys that collide, and only cost
/// everybody time; what people ask with is looked up and never stored.
#[derive(Debug, Clone, Copy)]
struct Key(u64);

impl Default for Key {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Key {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0000_0100_0000_01b3);
        }
        // Ends the value, so that `ab` `c` is not `a` `bc`.
        self.0 = (self.0 ^ 0xff).wrapping_mul(0x0000_0100_0000_01b3);
    }

    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ (mixed >> 33)
    }
}

/// Keys are hashes already.
#[derive(Debug, Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::{FolderPath, Match};

    #[test]
    fn a_path_is_found_in_every_spelling_that_matches() {
        for (pattern, path, platform) in [
            ("/bin/x", "/usr/bin/x", Platform::Linux),
            ("/usr/lib64/**", "/lib64/a/b", Platform::Linux),
            ("/usr/*/x", "/bin/x", Platform::Linux),
            ("/opt/ä/x", "/opt/ä/x", Platform::Linux),
            ("/Opt/Tool", "/oPT/tOOL", Platform::MacOs),
            ("/opt/\u{212a}/x", "/opt/k/x", Platform::MacOs),
            ("/opt/k/x", "/opt/\u{212a}/x", Platform::MacOs),
            ("/opt/\u{131}/x", "/opt/I/x", Platform::MacOs),
            (r"c:\Tools\*", r"C:\tools\setup.exe", Platform::Windows),
            ("/**/x", "/x", Platform::Linux),
        ] {
            let folder_path = Some(FolderPath { path: pattern.parse().unwrap() });
            let rule = Rule::try_from(RuleForm { folder_path, ..RuleForm::default() }).unwrap();
            let path: FilePath = path.parse().unwrap();
            let facts = Facts {
                path: Attr::Known(path.clone()),
                resolved_path: Attr::Known(path),
                ..Facts::unstated(Some(platform))
            };
            assert_eq!(rule.matches(&facts), Match::Yes, "{pattern}");
            let mut found = 0;
            Index::new([(&rule, ())].into_iter()).each(&facts, Paths::Both, |()| found += 1);
            assert_eq!(found, 1, "{pattern}");
        }
    }
}
