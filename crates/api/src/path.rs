//! The form of paths, as patterns of the schema: CEL over 1,024 characters in nested lists would cost more than the API
//! server allows, and its regular expressions cannot say "but not". So each form says what a part may be.

use schemars::{Schema, SchemaGenerator, json_schema};

/// What no part may hold: separators, control characters, and what a shell, a variable or a regular expression would give
/// another meaning to.
const REFUSED: &str = r"/\\\p{C}\p{Zl}\p{Zp}~$%\[\]^|";
/// What else no name on Windows can hold.
const REFUSED_ON_WINDOWS: &str = r#":"<>"#;

/// A path that a rule matches with: `*` and `?` inside a part, `**` as a whole part.
pub(crate) fn path_pattern(_: &mut SchemaGenerator) -> Schema {
    of_parts(|refused| {
        // One character that is no star; the same that is no dot either.
        let (plain, undotted) = (format!("[^*{{}}{refused}]"), format!("[^.*{{}}{refused}]"));
        // Stars stand alone, and . or .. is never the whole part.
        format!(r"(\*\*|(\.{{0,2}}\*|\.?{undotted}\*?|\.\.{plain}\*?)({plain}\*?)*)")
    })
}

/// A path that is meant as it is written: no wildcards.
pub(crate) fn literal_path(_: &mut SchemaGenerator) -> Schema {
    of_parts(|refused| {
        let (plain, undotted) = (format!("[^*?{refused}]"), format!("[^.*?{refused}]"));
        format!(r"(\.?{undotted}|\.\.{plain}){plain}*")
    })
}

/// Absolute, of parts that hold nothing that is refused: `/part/part`, or `C:\part\part`.
fn of_parts(part: impl Fn(&str) -> String) -> Schema {
    let (unix, windows) = (part(REFUSED), part(&format!("{REFUSED}{REFUSED_ON_WINDOWS}")));
    let pattern = format!(r"^((/{unix})+|[A-Za-z]:(\\{windows})+)$");
    json_schema!({"type": "string", "minLength": 2, "maxLength": 1024, "pattern": pattern})
}
