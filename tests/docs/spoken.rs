//! Commands inside a sentence. They teach like those in a block, so one with options has to be part of a command that some block types.

use crate::block::{Block, Run};

/// The code spans of a page that are commands with options, in order.
pub fn commands(page: &str) -> Vec<String> {
    let (mut text, mut fenced) = (String::new(), false);
    for line in page.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            text.push_str(line);
        }
        text.push('\n');
    }
    // A lone backquote spoils its own paragraph only.
    let spans = text.split("\n\n").flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2));
    let spans = spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "));
    let commands = spans.filter(|span| ["kubectl ", "helm "].iter().any(|program| span.starts_with(program)));
    commands.filter(|command| command.contains(" -")).collect()
}

/// Does a block type a command that has all words of this one, in this order? `<name>` stands for any word, `…` for the rest of one.
pub fn is_typed(command: &str, blocks: &[Block]) -> bool {
    let typed = blocks.iter().filter(|block| !matches!(block.run, Run::Not(_))).flat_map(|block| &block.commands);
    typed.into_iter().any(|typed| {
        let mut words = typed.text.split_whitespace();
        command.split_whitespace().all(|word| words.any(|typed| stands_for(word, typed)))
    })
}

fn stands_for(word: &str, typed: &str) -> bool {
    let any = word.starts_with('<') && word.ends_with('>');
    let begins = word.split_once('…').is_some_and(|(start, _)| typed.starts_with(start));
    any || begins || word == typed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::of_page;

    #[test]
    fn a_command_in_a_sentence_is_found_also_over_two_lines() {
        let page = "See `status` with `kubectl get er\n-A`, or a lone ` mark.\n\n`kubectl explain er` is a word.\n\n```text\n`kubectl get -A`\n```\n`helm list -A`";
        assert_eq!(commands(page), ["kubectl get er -A", "helm list -A"]);
    }

    #[test]
    fn it_is_typed_where_a_block_has_its_words() {
        let page = "<!-- run -->\n```bash\nkubectl -n berlin get er er-1 -o wide\n```\n<!-- not run: needs a kubelet -->\n```bash\nhelm test tidegate\n```\n";
        let blocks = of_page(page).expect("a page");
        for typed in ["kubectl get er -o wide", "kubectl -n <fleet> get er", "kubectl get er …"] {
            assert!(is_typed(typed, &blocks), "{typed}");
        }
        for other in ["kubectl get er -A", "kubectl -o wide get", "helm test tidegate"] {
            assert!(!is_typed(other, &blocks), "{other}");
        }
    }
}
