//! Weaker readings of a CEL expression: each operand of an `&&` or `||` left out in turn, each branch of a `?:` taken for all, at
//! every depth. It knows quotes and brackets, nothing else of the language.

use std::ops::Range;

/// A change and what comes out of it.
#[derive(Debug, Eq, PartialEq)]
pub struct Weaker {
    /// Such as ``without `a` ``.
    pub what: String,
    /// The whole expression, changed.
    pub expression: String,
}

/// Every one-step weakening of `expression`.
pub fn weaker(expression: &str) -> Vec<Weaker> {
    let mut found = Vec::new();
    visit(expression, 0..expression.len(), &mut found);
    found
}

fn visit(text: &str, span: Range<usize>, found: &mut Vec<Weaker>) {
    let instead = |what: String, with: &str| {
        let expression = format!("{}{}{}", &text[..span.start], with, &text[span.end..]);
        Weaker { what, expression }
    };
    if let [condition, then, otherwise] = &split(text, &span, &["?", ":"])[..] {
        for (branch, name) in [(then, "condition true"), (otherwise, "condition false")] {
            let of = short(&text[condition.clone()]);
            found.push(instead(format!("{name}: `{of}`"), &text[branch.clone()]));
        }
        return [condition, then, otherwise].into_iter().for_each(|part| visit(text, part.clone(), found));
    }
    for operator in ["||", "&&"] {
        let operands = split(text, &span, &[operator]);
        if operands.len() < 2 {
            continue;
        }
        for left_out in &operands {
            let kept: Vec<&str> = operands.iter().filter(|o| *o != left_out).map(|o| text[o.clone()].trim()).collect();
            let kept = format!(" {} ", kept.join(&format!(" {operator} ")));
            found.push(instead(format!("without `{}`", short(&text[left_out.clone()])), kept.trim()));
        }
        return operands.into_iter().for_each(|operand| visit(text, operand, found));
    }
    for bracket in brackets(text, &span) {
        split(text, &bracket, &[","]).into_iter().for_each(|argument| visit(text, argument, found));
    }
}

/// Names an operand in a line.
fn short(operand: &str) -> String {
    operand.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The positions outside quotes in `span`, with the depth of brackets there and the character.
fn positions(text: &str, span: &Range<usize>) -> Vec<(usize, usize, char)> {
    let (mut depth, mut quote, mut positions) = (0_usize, None, Vec::new());
    for (offset, character) in text[span.clone()].char_indices() {
        let at = span.start + offset;
        match (quote, character) {
            (Some(open), _) => quote = (character != open).then_some(open),
            (None, '\'' | '"') => quote = Some(character),
            (None, '(' | '[' | '{') => {
                positions.push((at, depth, character));
                depth += 1;
            }
            (None, ')' | ']' | '}') => {
                depth = depth.saturating_sub(1);
                positions.push((at, depth, character));
            }
            (None, _) => positions.push((at, depth, character)),
        }
    }
    positions
}

/// The parts of `span` between the operators at its top level. Of one operator all count, of several one each, in this order.
fn split(text: &str, span: &Range<usize>, operators: &[&str]) -> Vec<Range<usize>> {
    let (mut parts, mut begin, mut next) = (Vec::new(), span.start, 0);
    for (at, depth, _) in positions(text, span) {
        let Some(operator) = operators.get(next) else { break };
        if depth == 0 && at >= begin && text[at..span.end].starts_with(operator) {
            parts.push(begin..at);
            begin = at + operator.len();
            if operators.len() > 1 {
                next += 1;
            }
        }
    }
    parts.push(begin..span.end);
    parts
}

/// What stands within the outermost brackets of `span`.
fn brackets(text: &str, span: &Range<usize>) -> Vec<Range<usize>> {
    let (mut found, mut open) = (Vec::new(), span.start);
    for (at, depth, character) in positions(text, span) {
        match character {
            '(' | '[' | '{' if depth == 0 => open = at + 1,
            ')' | ']' | '}' if depth == 0 => found.push(open..at),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expressions(of: &str) -> Vec<String> {
        weaker(of).into_iter().map(|weaker| weaker.expression).collect()
    }

    #[test]
    fn each_operand_is_left_out_once() {
        assert_eq!(expressions("a && b && c"), ["b && c", "a && c", "a && b"]);
        assert_eq!(expressions("a || b && c"), ["b && c", "a", "a ||c", "a ||b"]);
    }

    #[test]
    fn brackets_are_entered_and_quotes_are_not() {
        assert_eq!(expressions("x.all(k, f(k) || k in y)"), ["x.all(k,k in y)", "x.all(k,f(k))"]);
        assert_eq!(expressions("a == 'b && c' + r'(d || e)'"), Vec::<String>::new());
        assert_eq!(expressions("!(a && (b || c))"), ["!((b || c))", "!(a)", "!(a && (c))", "!(a && (b))"]);
    }

    #[test]
    fn either_branch_of_a_choice_is_taken_for_all() {
        assert_eq!(expressions("a ? b : c"), [" b ", " c"]);
    }
}
