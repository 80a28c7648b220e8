//! What a decision has to look like: its words, its characters, its length.

use serde_json::{Map, Value, json};

use super::super::attempt::Target::{Decided, Fresh, Unstamped};
use super::super::attempt::{Case, How, Needs, case, decide, no, not, note, ok, shows};
use super::super::cast::Who::{Alice, Bob, Tricky};
use super::{APPROVE, MANY, ONE, SELF, form, mine};

const SLOT_1: &str = "/metadata/annotations/decision.tidegate.dev~11";

pub fn cases() -> Vec<Case> {
    [good(), bad(), stamped(), long()].concat()
}

fn good() -> Vec<Case> {
    [
        "bob@corp approve",
        "bob@corp approve for=30m",
        "bob@corp approve for=1h30m stage=managers: pairing with Alice",
        "bob@corp approve: for=9h is what she asked for: no",
        "bob@corp approve: : ",
        "bob@corp deny stage=managers",
        "bob@corp deny: größer als nötig – 設定",
        "bob@corp deny:  two blanks before and after  ",
        "bob@corp revoke: stolen laptop",
        "bob@corp end",
    ]
    .into_iter()
    .map(|text| case(format!("well formed: {text}"), Bob, Fresh, decide(1, text), ok()))
    .collect()
}

fn bad() -> Vec<Case> {
    let comment_513 = format!("bob@corp deny: {}", "x".repeat(513));
    let long_stage = format!("bob@corp deny stage={}", "a".repeat(64));
    let attempts = [
        "",
        " ",
        "approve",
        "bob@corp",
        "bob@corp allow",
        "bob@corp Approve",
        "bob@corp APPROVE",
        "bob@corp approved",
        "bob@corp  approve",
        " bob@corp approve",
        "bob@corp approve ",
        "bob@corp\tapprove",
        "bob@corp approve for=45",
        "bob@corp approve for=hh",
        "bob@corp approve for=-5m",
        "bob@corp approve for=1.5h",
        "bob@corp approve for=1h1h1h1h",
        "bob@corp approve for=123456s",
        "bob@corp approve for=45m for=5m",
        "bob@corp approve for=",
        "bob@corp approve stage=managers for=45m",
        "bob@corp approve stage=a stage=b",
        "bob@corp approve stage=Managers",
        "bob@corp approve stage=",
        "bob@corp approve stage=a/b",
        "bob@corp approve stage=a-",
        "bob@corp approve deny",
        "bob@corp approve :no blank before the colon",
        "bob@corp approve:no blank after it",
        "bob@corp approve: ",
        "bob@corp approve:",
        "bob@corp approve\n",
        "bob@corp approve: first\nbob@corp approve: second",
        "bob@corp approve: \u{0}",
        // ESC and other control characters, right-to-left marks, line and paragraph separators: they could fake a line.
        "bob@corp approve: \u{1b}[2Jcleared",
        "bob@corp approve: a\rb",
        "bob@corp approve: a\u{85}b",
        "bob@corp approve: a\u{202e}b",
        "bob@corp approve: a\u{200f}b",
        "bob@corp approve: a\u{2066}b",
        "bob@corp approve: a\u{2028}b",
        "bob@corp approve: a\u{2029}b",
        "bob@corp approve: a\u{feff}b",
        "bob@corp approve: a\u{e000}b",
        // Look-alikes: no-break space, Cyrillic a, full-width colon and equals sign, soft hyphen, a joiner.
        "bob@corp\u{a0}approve",
        "bob@corp \u{430}pprove",
        "bob@corp approve\u{ff1a} yes",
        "bob@corp approve for\u{ff1d}5m",
        "bob@corp appro\u{ad}ve",
        "bob\u{200d}@corp approve",
        comment_513.as_str(),
        long_stage.as_str(),
    ];
    let refused = |text: &str| {
        let what = format!("malformed: {:?}", text.chars().take(60).collect::<String>());
        case(what, Bob, Fresh, decide(1, text), no(form("bob@corp")))
    };
    attempts.into_iter().map(refused).collect()
}

/// The short form: whatever is stamped is judged like anything else.
fn stamped() -> Vec<Case> {
    let short = |text: &str| note("tidegate.dev/decide", text);
    let both = json!({"metadata": {"annotations": {"tidegate.dev/decide": "deny", "decision.tidegate.dev/1": "bob@corp approve"}}});
    let plain = "this API server does not stamp decisions: write decision.tidegate.dev/1=\"bob@corp approve\" instead of tidegate.dev/decide";
    let stamped = vec![
        case(
            "decide",
            Bob,
            Fresh,
            short("approve for=30m: pairing for=9h"),
            shows(SLOT_1, "bob@corp approve for=30m: pairing for=9h"),
        ),
        case(
            "decide leaves nothing behind",
            Bob,
            Fresh,
            short("deny"),
            shows("/metadata/annotations/tidegate.dev~1decide", Value::Null),
        ),
        case(
            "decide after a decision",
            Bob,
            Decided,
            short("deny"),
            shows("/metadata/annotations/decision.tidegate.dev~12", "bob@corp deny"),
        ),
        case("decide, for oneself", Alice, Fresh, short("approve"), no(SELF)),
        case("decide without the right", Alice, Fresh, short("deny"), no(APPROVE)),
        case("decide: for=45", Bob, Fresh, short("approve for=45"), no(form("bob@corp"))),
        case("decide: a name before the verb", Bob, Fresh, short("alice@corp approve"), no(form("bob@corp"))),
        case("decide: nothing", Bob, Fresh, short(""), no(form("bob@corp"))),
        case("decide: a line break", Bob, Fresh, short("deny\nbob@corp approve"), no(form("bob@corp"))),
        case("decide: 64 KiB", Bob, Fresh, short(&format!("deny: {}", "x".repeat(65_536))), no(MANY)),
        case("decide by `bob@corp approve:`", Tricky, Fresh, short("approve"), no(mine("bob@corp approve:"))),
        case("decide and a decision", Bob, Fresh, How::Merge(both), no(ONE)),
    ];
    let mut all: Vec<Case> = stamped.into_iter().map(|case| case.needs(Needs::Stamping)).collect();
    all.push(case("decide where nothing stamps", Bob, Unstamped, short("approve"), no(plain)).needs(Needs::NoStamping));
    all
}

/// Sizes.
fn long() -> Vec<Case> {
    let annotations = |count: usize, size: usize| {
        let one = |n: usize| (format!("decision.tidegate.dev/{n}"), json!("x".repeat(size)));
        How::Merge(json!({"metadata": {"annotations": (1..=count).map(one).collect::<Map<_, _>>()}}))
    };
    let decision = |size: usize| {
        let text = "bob@corp approve: ";
        decide(1, &format!("{text}{}", "x".repeat(size - text.len())))
    };
    vec![
        case(
            "a comment of 512 characters",
            Bob,
            Fresh,
            decide(1, &format!("bob@corp deny: {}", "ü".repeat(512))),
            ok(),
        ),
        case("a decision of 4,096 characters", Bob, Fresh, decision(4096), no(form("bob@corp"))),
        case("a decision of 4,097 characters", Bob, Fresh, decision(4097), no(MANY)),
        case("a decision of 64 KiB", Bob, Fresh, decision(65_536), no(MANY)),
        case(
            "kubectl's annotation of 64 KiB",
            Bob,
            Fresh,
            note("kubectl.kubernetes.io/last-applied-configuration", &"x".repeat(65_536)),
            no(MANY),
        ),
        case("64 annotations", Bob, Fresh, annotations(64, 4), no(ONE)),
        case("65 annotations", Bob, Fresh, annotations(65, 4), no(MANY)),
        case("300 annotations", Bob, Fresh, annotations(300, 4), no(MANY)),
        case("1,000 annotations", Bob, Fresh, annotations(1000, 4), no(MANY)),
        case("64 more than one decision", Bob, Decided, annotations(65, 4), no(MANY)),
        case(
            "annotations of 300 KiB",
            Bob,
            Fresh,
            annotations(3, 102_400),
            not("metadata.annotations", "262144 bytes"),
        ),
    ]
}
