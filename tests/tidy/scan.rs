//! A small scanner of Rust sources: blanks comments and literals, splits into tokens, and finds paths, inline modules and functions.

use std::ops::Range;

/// A token outside comments and literals: an identifier, `::`, or one other character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    /// Counted from 1.
    pub(crate) line: usize,
}

/// The text with comments and the contents of literals replaced by spaces; lines stay where they are.
pub(crate) fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let skip = skipped(&chars, at);
        if skip == 0 {
            out.push(chars[at]);
            at += 1;
        } else {
            let end = (at + skip).min(chars.len());
            out.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Length of the comment or literal that begins at `at`; 0 if none does.
fn skipped(chars: &[char], at: usize) -> usize {
    let rest = &chars[at..];
    let inside_word = at > 0 && is_word(chars[at - 1]);
    match rest {
        ['/', '/', ..] => rest.iter().position(|&c| c == '\n').unwrap_or(rest.len()),
        ['/', '*', ..] => block_comment(rest),
        ['"', ..] => quoted(rest, 0),
        ['\'', ..] => character(rest),
        ['b' | 'c', '"', ..] if !inside_word => quoted(rest, 1),
        ['b', '\'', ..] if !inside_word => 1 + character(&rest[1..]),
        ['r', '"' | '#', ..] if !inside_word => raw(rest, 1),
        ['b' | 'c', 'r', '"' | '#', ..] if !inside_word => raw(rest, 2),
        _ => 0,
    }
}

/// Block comments nest.
fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(rest: &[char], prefix: usize) -> usize {
    let mut at = prefix + 1;
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// A raw string, or 0 for a raw identifier such as `r#type`.
fn raw(rest: &[char], prefix: usize) -> usize {
    let hashes = rest[prefix..].iter().take_while(|&&c| c == '#').count();
    if rest.get(prefix + hashes) != Some(&'"') {
        return 0;
    }
    let mut at = prefix + hashes + 1;
    while at < rest.len() {
        if rest[at] == '"' && rest[at + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes {
            return at + 1 + hashes;
        }
        at += 1;
    }
    at
}

/// A character literal, or 0 for a lifetime or label.
fn character(rest: &[char]) -> usize {
    match rest {
        ['\'', '\\', _, tail @ ..] => 3 + tail.iter().position(|&c| c == '\'').map_or(tail.len(), |end| end + 1),
        ['\'', _, '\'', ..] => 3,
        _ => 0,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The tokens of a text that [`code_only`] made.
pub(crate) fn tokens(code: &str) -> Vec<Token> {
    let mut out = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let len = if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            out.push(Token { text: rest[..len].to_owned(), line: number + 1 });
            rest = rest[len..].trim_start();
        }
    }
    out
}

/// Position one past the bracket that closes the one at `open`.
pub(crate) fn close(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// A path as written, from its first segment on; a `use` tree gives one for each leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CodePath {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    /// Position of the first token.
    pub(crate) at: usize,
}

/// All paths of two or more segments.
pub(crate) fn paths(tokens: &[Token]) -> Vec<CodePath> {
    let mut out = Vec::new();
    for at in 0..tokens.len() {
        let before = at.checked_sub(1).map(|before| tokens[before].text.as_str());
        let begins = is_identifier(&tokens[at]) && next_is(tokens, at, "::") && !matches!(before, Some("::" | "$"));
        let in_tree = matches!(before, Some("{" | ",")) && inside_use_tree(tokens, at);
        if begins && !in_tree {
            expand(tokens, at, &mut Vec::new(), &mut |segments| {
                out.push(CodePath { segments: segments.to_vec(), line: tokens[at].line, at });
            });
        }
        // `use {a::b, c::d};` and `::name::x` begin without a segment of their own.
        let bare = (tokens[at].text == "use" && next_is(tokens, at, "{")).then_some(at + 1);
        let global = (tokens[at].text == "::" && !in_tree && !before.is_some_and(ends_segment)).then_some(at + 1);
        if let Some(start) = bare.or(global) {
            expand(tokens, start, &mut Vec::new(), &mut |segments| {
                out.push(CodePath { segments: segments.to_vec(), line: tokens[at].line, at });
            });
        }
    }
    out
}

fn ends_segment(text: &str) -> bool {
    text == ">" || text.chars().all(is_word)
}

/// Whether the nearest enclosing `{` belongs to a `use` tree, so that the path was expanded from its root.
fn inside_use_tree(tokens: &[Token], at: usize) -> bool {
    let mut depth = 0;
    for position in (0..at).rev() {
        match tokens[position].text.as_str() {
            "}" => depth += 1,
            "{" if depth > 0 => depth -= 1,
            "{" => {
                let before = position.checked_sub(1).map(|before| tokens[before].text.as_str());
                return matches!(before, Some("::" | "use")) || (matches!(before, Some("{" | ",")) && inside_use_tree(tokens, position));
            }
            ";" if depth == 0 => return false,
            _ => {}
        }
    }
    false
}

/// Walks one path or `use` tree that begins at `at`; returns where it ends.
fn expand(tokens: &[Token], at: usize, prefix: &mut Vec<String>, leaf: &mut dyn FnMut(&[String])) -> usize {
    let Some(token) = tokens.get(at) else { return at };
    if token.text == "{" {
        let end = close(tokens, at);
        let mut inner = at + 1;
        while inner + 1 < end {
            inner = expand(tokens, inner, prefix, leaf);
            while inner + 1 < end && tokens[inner].text != "," {
                inner += 1;
            }
            inner += 1;
        }
        return end;
    }
    if token.text == "::" && prefix.is_empty() {
        return expand(tokens, at + 1, prefix, leaf);
    }
    if !is_identifier(token) {
        leaf(prefix);
        return at + 1;
    }
    prefix.push(token.text.clone());
    let end = if next_is(tokens, at, "::") {
        expand(tokens, at + 2, prefix, leaf)
    } else {
        leaf(prefix);
        at + 1
    };
    prefix.pop();
    end
}

fn is_identifier(token: &Token) -> bool {
    token.text.chars().all(is_word) && !token.text.starts_with(|c: char| c.is_ascii_digit())
}

fn next_is(tokens: &[Token], at: usize, text: &str) -> bool {
    tokens.get(at + 1).is_some_and(|token| token.text == text)
}

/// Inline modules: name, and the positions of the tokens between their braces.
pub(crate) fn inline_modules(tokens: &[Token]) -> Vec<(String, Range<usize>)> {
    let named = |at: &usize| tokens[*at].text == "mod" && next_is(tokens, at + 1, "{");
    (0..tokens.len()).filter(named).map(|at| (tokens[at + 1].text.clone(), at + 3..close(tokens, at + 2) - 1)).collect()
}

/// Positions of items under `#[cfg(test)]`, attribute included.
pub(crate) fn test_items(tokens: &[Token]) -> Vec<Range<usize>> {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let begins = |at: &usize| tokens[*at..].iter().map(|token| token.text.as_str()).take(7).eq(ATTRIBUTE);
    let end = |from: usize| {
        let body = (from + 7..tokens.len()).find(|&at| tokens[at].text == "{" || tokens[at].text == ";");
        body.map_or(tokens.len(), |at| if tokens[at].text == "{" { close(tokens, at) } else { at + 1 })
    };
    (0..tokens.len()).filter(begins).map(|at| at..end(at)).collect()
}

/// A function with a body: name and number of lines, from `fn` to the closing brace.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

/// All functions with bodies, nested ones too.
pub(crate) fn functions(tokens: &[Token]) -> Vec<Function> {
    let mut out = Vec::new();
    for at in 0..tokens.len().saturating_sub(1) {
        if tokens[at].text != "fn" || !is_identifier(&tokens[at + 1]) {
            continue;
        }
        let mut position = at + 2;
        while position < tokens.len() && tokens[position].text != "{" && tokens[position].text != ";" {
            let opens = matches!(tokens[position].text.as_str(), "(" | "[");
            position = if opens { close(tokens, position) } else { position + 1 };
        }
        if position < tokens.len() && tokens[position].text == "{" {
            let last = close(tokens, position) - 1;
            let (line, name) = (tokens[at].line, tokens[at + 1].text.clone());
            out.push(Function { name, line, lines: tokens[last].line - line + 1 });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        code_only(text).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn found(text: &str) -> Vec<String> {
        paths(&tokens(&code_only(text))).iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        assert_eq!(code("a // unsafe\nb /* unsafe /* nested */ unsafe */ c"), "a b c");
        assert_eq!(code(r##"f("un\"safe", b"unsafe", r#"un"safe"#, br"\", c"x") g"##), "f( , , , , ) g");
        assert_eq!(code(r"f('\'', '{', b'\\', '\u{7b}', 'é') + g::<'a>(&'static x)"), "f( , , , , ) + g::<'a>(&'static x)");
        assert_eq!(code("r#type + bar\"x\" 'outer: loop"), "r#type + bar 'outer: loop");
        assert_eq!(code_only("\"a\nb\"\n/*\n*/c").lines().count(), 4);
    }

    #[test]
    fn use_trees_give_a_path_for_each_leaf() {
        let text = "use a::{b, c::{d as e, self}, f::*}; fn g() { h::i::<j>(k) } use {l::m, ::n::o};";
        assert_eq!(found(text), ["a::b", "a::c::d", "a::c::self", "a::f", "h::i", "l::m", "n::o"]);
        assert_eq!(found("match x { a::B => c::D, e::F => {} }"), ["a::B", "c::D", "e::F"]);
        assert_eq!(found("$crate::x <T as U>::v <a::b>::c [::std::fs::x]"), ["a::b", "std::fs::x"]);
    }

    #[test]
    fn functions_reach_to_their_closing_brace() {
        let text = "fn a(x: [u8; { 3 }]) -> u8 {\n    '}';\n    fn b() {}\n}\ntrait T { fn c(); }\ntype F = fn(u8);";
        let found: Vec<_> = functions(&tokens(&code_only(text))).into_iter().map(|f| (f.name, f.line, f.lines)).collect();
        assert_eq!(found, [("a".to_owned(), 1, 4), ("b".to_owned(), 3, 1)]);
    }

    #[test]
    fn test_items_are_found_whole() {
        let tokens = tokens("a; #[cfg(test)] #[allow(x)] mod t { b { c } } d; #[cfg(test)] mod e; f");
        let inside: Vec<String> = test_items(&tokens).into_iter().flat_map(|r| tokens[r].iter().map(|t| t.text.clone())).collect();
        assert!(inside.contains(&"c".to_owned()) && inside.contains(&"e".to_owned()));
        assert!(["a", "d", "f"].iter().all(|outside| !inside.contains(&(*outside).to_owned())));
    }
}
